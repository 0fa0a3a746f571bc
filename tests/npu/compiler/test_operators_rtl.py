"""Programs of all operators that are not convolutions on the RTL: the bits of TFLM."""

import numpy as np
import pytest

from npu.golden import run_golden
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from rtl.config import PRESETS
from tests.npu.compiler.lowering.test_bilinear import resized
from tests.npu.compiler.lowering.test_elementwise import (
    CHANNELS,
    MINUENDS,
    OPERANDS,
    attention,
    make,
    several_slopes,
    squeeze_and_excite,
    tables_in_stripes,
)
from tests.npu.compiler.lowering.test_reduction import AXES, PADS, padding, reduction
from tests.npu.compiler.test_rounding import network
from tests.npu.offload.test_unsigned_ends import network as unsigned_ends

MODELS = {
    "network": network(1),
    "bilinear": resized((1, 7, 9, 21), (14, 36), "half-pixel", layers=True),
    "bilinear to a half and by 8": resized((2, 6, 5, 8), (3, 40), "plain"),
    "uint8 at both ends": unsigned_ends(),
    "squeeze and excite": squeeze_and_excite(17),
    "attention": attention(18),
    "groups": make("SUB", *CHANNELS["groups"], seed=6),
    "pixels of a batch": make("ADD", *CHANNELS["pixels of a batch"], seed=7),
    "slopes": several_slopes((21,), 3),
    "tables": tables_in_stripes(),
    "pixel": make("SUB", *OPERANDS["pixel"], seed=2),
    "constant per channel": make("MUL", *OPERANDS["constant per channel first"], seed=3),
    "constant map": make("MINIMUM", *OPERANDS["constant map"], seed=4),
    "maximum": make("MAXIMUM", *OPERANDS["rank 3"], seed=5),
    "repeated minuend": make("SUB", *MINUENDS["column"], seed=5),
    "sum of channels": reduction("SUM", *AXES["height and channels"], 6),
    "mean": reduction("MEAN", *AXES["width"], 7),
    "mean of a batch of groups": reduction("MEAN", *AXES["groups of a batch"], 8),
    "maximum of batch and columns": reduction("REDUCE_MAX", *AXES["batch and columns"], 8),
    "padding": padding(*PADS["everything"], None),
    "more padding than map": padding(*PADS["more rows than the map has"], 99),
}


@pytest.mark.parametrize("preset", ["npu64", "npu256"])
@pytest.mark.parametrize("name", MODELS)
def test_operators_on_rtl_equal_tflm(name: str, preset: str) -> None:
    graph = read_model_bytes(MODELS[name], "test")
    rng = np.random.default_rng(9)
    given = [graph.tensors[i] for i in graph.inputs]
    inputs = {
        t.index: rng.integers(-128, 128, t.shape).astype(np.int8).view(t.dtype) for t in given
    }
    golden = run_golden(MODELS[name], graph, inputs)
    runner = NetworkRunner(graph, config=PRESETS[preset], backend="rtl", keep_intermediates=True)
    result = runner.run(inputs)
    values = {**result.values, **result.outputs}
    compared = values.keys() & golden.keys()
    assert compared >= set(graph.outputs)
    for index in compared:
        np.testing.assert_array_equal(values[index], golden[index], f"tensor {index}")
