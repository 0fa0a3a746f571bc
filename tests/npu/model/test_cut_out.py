"""One operator cut out of a network computes in TFLM what it computes in the network."""

import numpy as np
import pytest

from npu.golden import run_golden
from npu.inputs import load_inputs
from npu.model.cut_out import cut_out
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from tests.npu.reference.test_state import NETWORKS, built
from tests.npu.small_model import classifier
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm

VARIABLES = ("VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE")


def with_int4_and_shapes() -> bytes:
    """int4 weights, an input left out, and a shape that the reader works out."""
    m = ModelBuilder()
    x = m.input((1, 2, 8), scale=0.1, zero_point=3)
    shape = m.tensor((3,), np.int32)
    m.operator("SHAPE", [x], [shape], {"outType": 2}, options_type="ShapeOptions")
    y = m.tensor((1, 2, 8), scale=0.1, zero_point=3)
    m.operator("RESHAPE", [x, shape], [y])
    rng = np.random.default_rng(0)
    weights = m.int4_constant(rng.integers(-8, 8, (4, 8)).astype(np.int8), scale=0.1)
    z = m.tensor((1, 2, 4), scale=0.2)
    options = {"keepNumDims": True}
    m.operator(
        *("FULLY_CONNECTED", [y, weights, None], [z], options),
        options_type="FullyConnectedOptions",
        version=4,
    )
    return m.build()


def models() -> dict[str, tuple[bytes, Graph]]:
    found = {name: built(NETWORKS[name]) for name in ("two_lstms", "svdf")}
    for name, model in (("classifier", classifier()), ("int4", with_int4_and_shapes())):
        found[name] = model, read_model_bytes(model, name)
    return found


@pytest.mark.parametrize("name", models())
def test_each_operator_computes_the_same_alone(name: str) -> None:
    model, graph = models()[name]
    values = run_golden(model, graph, load_inputs([], graph))
    for op in graph.operators:
        alone = cut_out(graph, op)
        outputs = run_tflm(alone.model, [values[i] for i in alone.inputs])
        for index, output in zip(alone.outputs, outputs, strict=True):
            np.testing.assert_array_equal(output, values[index], strict=True)
        # what the reader makes of it is the same operator
        (again,) = read_model_bytes(alone.model, "m").operators
        assert (again.kind, again.options) == (op.kind, op.options)
        assert len(again.inputs) == len(op.inputs)
