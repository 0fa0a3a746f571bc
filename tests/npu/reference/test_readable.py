"""Whole networks on the readable kernels: every tensor equals TFLM's and the prepared kernels'."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.errors import ModelError, UnsupportedOperatorError
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.reference.network import run_reference
from npu.reference.readable import run_readable
from npu.zoo import model_path
from tests.npu.small_model import classifier
from tests.support.shared_models import shared_model
from tests.support.tflite_file import ModelFile

Values = Mapping[int, NDArray[Any]]


def assert_same_tensors(graph: Graph, one: Values, other: Values) -> None:
    assert set(one) == set(other) >= {op.outputs[0] for op in graph.operators}
    for index, value in one.items():
        np.testing.assert_array_equal(value, other[index], err_msg=graph.tensors[index].name)


@pytest.mark.parametrize("name", ["fashion_resnet", "mlperf_kws_dscnn"])
def test_every_tensor_of_a_network(name: str) -> None:
    path: Path = model_path() if name == "fashion_resnet" else shared_model(name)
    graph = read_model(path)
    inputs = load_inputs(["random:5"], graph)
    readable = run_readable(graph, inputs)
    assert_same_tensors(graph, readable, run_reference(graph, inputs))
    comparison = compare(graph, run_golden(path.read_bytes(), graph, inputs), readable)
    assert comparison.bit_exact, comparison.mismatches[0]
    assert comparison.intermediates_compared == len(graph.operators) - len(graph.outputs)


@pytest.mark.parametrize("rounding", Rounding, ids=lambda mode: mode.name.lower())
def test_every_rounding(rounding: Rounding) -> None:
    graph = read_model_bytes(classifier(), "m")
    inputs = load_inputs(["random:2"], graph)
    readable = run_readable(graph, inputs, rounding=rounding)
    assert_same_tensors(graph, readable, run_reference(graph, inputs, rounding=rounding))


def test_what_is_refused() -> None:
    m = ModelFile()
    x = m.input((1, 4), scale=0.5)
    m.operator("TILE", [x], [m.tensor((1, 4), scale=0.5)])
    with pytest.raises(UnsupportedOperatorError, match=r"operator 0 \(TILE\) has no kernel"):
        run_readable(read_model_bytes(m.build(), "m"), {})
    graph = read_model_bytes(classifier(), "m")
    with pytest.raises(ModelError, match=r"is given as int8 of shape \[1, 2\], int8 of shape \["):
        run_readable(graph, {graph.inputs[0]: np.zeros((1, 2), np.int8)})
