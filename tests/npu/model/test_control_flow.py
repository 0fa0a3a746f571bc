"""IF and WHILE as they are read: their subgraphs, and what these must take and return."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npu.errors import ModelError
from npu.model.options import IfOptions, WhileOptions
from npu.model.tflite_reader import read_model_bytes
from tests.npu.model.edited import edited, refusal
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

Fill = Callable[[ModelBuilder], list[Tensor]]


def doubled(m: ModelBuilder) -> list[Tensor]:
    """A subgraph that adds its one input to itself."""
    x = m.input((1, 4), scale=0.5)
    return [m.add(x, x, scale=1.0, zero_point=0)]


def passed_on(m: ModelBuilder) -> list[Tensor]:
    """A subgraph whose output is its input."""
    return [m.input((1, 4), scale=0.5)]


def less(m: ModelBuilder) -> list[Tensor]:
    """A subgraph that compares the sum of its input with a constant."""
    m.input((1, 4), scale=0.5)
    a, b = m.constant(np.array(1, np.int32)), m.constant(np.array(2, np.int32))
    y = m.tensor((), np.bool_)
    m.operator("LESS", [a, b], [y])
    return [y]


def branching(then: Fill, otherwise: Fill, condition: Any = np.bool_) -> ModelBuilder:
    m = ModelBuilder()
    x, which = m.input((1, 4), scale=0.5), m.input((), dtype=condition)
    y = m.tensor((1, 4), scale=0.5)
    options = {"thenSubgraphIndex": m.subgraph(then), "elseSubgraphIndex": m.subgraph(otherwise)}
    m.operator("IF", [which, x], [y], options, options_type="IfOptions")
    return m


def looping(condition: Fill, body: Fill) -> ModelBuilder:
    m = ModelBuilder()
    x, y = m.input((1, 4), scale=0.5), m.tensor((1, 4), scale=0.5)
    options = {"condSubgraphIndex": m.subgraph(condition), "bodySubgraphIndex": m.subgraph(body)}
    m.operator("WHILE", [x], [y], options, options_type="WhileOptions")
    return m


def two_values(m: ModelBuilder) -> list[Tensor]:
    return [m.input((1, 4), scale=0.5), m.input((1, 4), scale=0.5)]


def other_type(m: ModelBuilder) -> list[Tensor]:
    return [m.input((1, 4), dtype=np.int16, scale=0.5)]


def test_branches_are_read() -> None:
    graph = read_model_bytes(branching(doubled, passed_on).build(), "m")
    (op,) = graph.operators
    assert op.options == IfOptions(then_subgraph=1, else_subgraph=2)
    assert [g.name for g in graph.with_subgraphs()] == ["m", "m.1", "m.2"]
    assert [o.kind for o in graph.subgraphs[1].operators] == ["ADD"]
    assert graph.subgraphs[2].operators == ()
    assert graph.subgraphs[2].outputs == graph.subgraphs[2].inputs


def test_loops_are_read() -> None:
    graph = read_model_bytes(looping(less, passed_on).build(), "m")
    assert graph.operators[0].options == WhileOptions(condition_subgraph=1, body_subgraph=2)
    assert sorted(graph.subgraphs) == [1, 2]


REFUSED = {
    "other inputs": (
        branching(two_values, doubled),
        "(IF) passes int8 [1, 4] to or from subgraph 1, which has int8 [1, 4], int8 [1, 4]",
    ),
    "other type": (
        branching(doubled, other_type),
        "(IF) passes int8 [1, 4] to or from subgraph 2, which has int16 [1, 4]",
    ),
    "condition": (
        branching(doubled, doubled, np.int32),
        "(IF): the condition is int32 [], one bool expected",
    ),
    "no bool": (looping(doubled, doubled), "(WHILE): the condition is int8 [1, 4], one bool"),
    "body": (looping(less, other_type), "(WHILE) passes int8 [1, 4] to or from subgraph 2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    model, message = REFUSED[name]
    with pytest.raises(ModelError) as caught:
        read_model_bytes(model.build(), "m")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", [branching(doubled, doubled), looping(less, doubled)])
def test_an_input_that_is_left_out(model: ModelBuilder) -> None:
    """Not even where the last tensor, which -1 would be in Python, is one that fits."""

    def leave_out(file: Any) -> None:
        (operator,) = file.subgraphs[0].operators
        operator.inputs = [*operator.inputs[:-1], -1]

    assert "an input is left out" in refusal(edited(model.build(), leave_out))
