"""Operators one by one on prepared kernels: prepared once, and with weights that are computed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kernels.prepared import instruction_sets
from kernels.requantize import Rounding
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.reference import operator_runner
from npu.reference.executors.common import Context
from npu.reference.executors.prepare import WEIGHTED, prepare
from npu.reference.operator_runner import OperatorRunner
from npu.reference.readable import run_readable
from rtl.errors import NpuError
from tests.npu.small_model import classifier
from tests.support.tflite_builder import ModelBuilder


def run_all(runner: OperatorRunner, graph: Graph, context: Context) -> dict[int, Any]:
    for op in graph.operators:
        runner.run(op, context)
    return dict(context.values)


def test_each_operator_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[int] = []

    def counting(graph: Graph, op: Any, *rest: Any) -> Any:
        prepared.append(op.index)
        return prepare(graph, op, *rest)

    monkeypatch.setattr(operator_runner, "prepare", counting)
    graph = read_model_bytes(classifier(), "m")
    runner = OperatorRunner(graph)
    for seed in range(3):
        inputs = load_inputs([f"random:{seed}"], graph)
        values = run_all(runner, graph, Context(dict(inputs)))
        for index, expected in run_readable(graph, inputs).items():
            np.testing.assert_array_equal(values[index], expected)
    assert sorted(prepared) == [op.index for op in graph.operators]
    run_all(runner, graph, Context(dict(inputs), Rounding.SINGLE))
    assert len(prepared) == 2 * len(graph.operators), "another rounding is another kernel"


def product(kind: str) -> bytes:
    """A convolution, depthwise or not, or a matrix product."""
    m = ModelBuilder()
    x = m.input((1, 5, 4, 6), scale=0.1, zero_point=3)
    rng = np.random.default_rng(0)
    common: dict[str, Any] = {"weight_scales": 0.02, "scale": 0.3, "zero_point": -4}
    if kind == "FULLY_CONNECTED":
        flat = m.reshape(x, (1, 120))
        weights = rng.integers(-127, 128, (9, 120)).astype(np.int8)
        return m.build([m.fully_connected(flat, weights, None, **common)])
    shape = (1, 3, 2, 6) if kind == "DEPTHWISE_CONV_2D" else (7, 3, 2, 6)
    build = m.depthwise_conv2d if kind == "DEPTHWISE_CONV_2D" else m.conv2d
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    return m.build([build(x, weights, None, **common)])


@pytest.mark.parametrize("kind", sorted(WEIGHTED))
def test_weights_that_are_computed(kind: str) -> None:
    """As a constant operand would be, and packed anew when they change."""
    graph = read_model_bytes(product(kind), "m")
    op = graph.operators[-1]
    assert op.kind == kind
    index = op.inputs[1]
    tensors = list(graph.tensors)
    constant = tensors[index].data
    assert constant is not None
    tensors[index] = replace(tensors[index], data=None)
    computed = replace(graph, tensors=tuple(tensors))
    runner = OperatorRunner(computed)
    for weights in (constant, constant[::-1].copy(), constant):
        tensors[index] = replace(tensors[index], data=weights)
        inputs = load_inputs(["random:0"], graph)
        expected = run_readable(replace(graph, tensors=tuple(tensors)), inputs)
        values = run_all(runner, computed, Context({**inputs, index: weights}))
        np.testing.assert_array_equal(values[op.outputs[0]], expected[op.outputs[0]])


def test_an_instruction_set_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator_runner, "default", instruction_sets.default.__wrapped__)
    monkeypatch.setenv(instruction_sets.VARIABLE, "mmx")
    graph = read_model_bytes(classifier(), "m")
    with pytest.raises(NpuError, match=r"NPU_KERNELS_ISA: instruction set is 'mmx'; allowed"):
        run_all(OperatorRunner(graph), graph, Context(dict(load_inputs([], graph))))
