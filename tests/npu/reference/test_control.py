"""IF and WHILE against TFLM: which subgraph runs, how often, and what it keeps."""

from collections.abc import Sequence

import numpy as np
import pytest

from npu.errors import ModelError
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.reference.executors import control
from npu.reference.network import PreparedNetwork, run_reference
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor
from tests.support.tflm import run_tflm_steps

SHAPE = (1, 4)
LIMIT = 5


def below_limit(m: ModelBuilder) -> list[Tensor]:
    """Whether a counter is below the limit; the values are passed by."""
    count, _ = m.input((), dtype=np.int32), m.input(SHAPE, scale=0.5)
    y = m.tensor((), np.bool_)
    m.operator("LESS", [count, m.constant(np.array(LIMIT, np.int32))], [y])
    return [y]


def counted_sum(m: ModelBuilder) -> list[Tensor]:
    """The counter plus 1, and the values with 3 added to each."""
    count, x = m.input((), dtype=np.int32), m.input(SHAPE, scale=0.5)
    one = m.constant(np.array(1, np.int32))
    following = m.tensor((), np.int32)
    m.operator("ADD", [count, one], [following], {}, options_type="AddOptions")
    step = m.constant(np.full(SHAPE, 3, np.int8), scale=0.5)
    return [following, m.add(x, step, scale=0.5, zero_point=0)]


def negated(m: ModelBuilder) -> list[Tensor]:
    x = m.input(SHAPE, scale=0.5)
    y = m.tensor(SHAPE, scale=0.5)
    zero = m.constant(np.zeros(SHAPE, np.int8), scale=0.5)
    m.operator("SUB", [zero, x], [y], {}, options_type="SubOptions", version=2)
    return [y]


def constant(m: ModelBuilder) -> list[Tensor]:
    """An output that no operator writes."""
    m.input(SHAPE, scale=0.5)
    return [m.constant(np.arange(4, dtype=np.int8).reshape(SHAPE), scale=0.5)]


def unchanged(m: ModelBuilder) -> list[Tensor]:
    return [m.input(SHAPE, scale=0.5)]


def looping() -> bytes:
    m = ModelBuilder()
    count, x = m.input((), dtype=np.int32), m.input(SHAPE, scale=0.5)
    ofms = [m.tensor((), np.int32), m.tensor(SHAPE, scale=0.5)]
    options = {
        "condSubgraphIndex": m.subgraph(below_limit),
        "bodySubgraphIndex": m.subgraph(counted_sum),
    }
    m.operator("WHILE", [count, x], ofms, options, options_type="WhileOptions")
    return m.build(ofms)


def branching(*branches: str) -> bytes:
    """IF between two of the subgraphs above, between operators of its own graph."""
    m = ModelBuilder()
    which, x = m.input((), dtype=np.bool_), m.input(SHAPE, scale=0.5)
    x = m.add(x, x, scale=0.5, zero_point=0)
    y = m.tensor(SHAPE, scale=0.5)
    then, otherwise = (m.subgraph(BRANCHES[name]) for name in branches)
    options = {"thenSubgraphIndex": then, "elseSubgraphIndex": otherwise}
    m.operator("IF", [which, x], [y], options, options_type="IfOptions")
    m.add(y, x, scale=1.0, zero_point=3)
    return m.build()


BRANCHES = {"negated": negated, "constant": constant, "unchanged": unchanged}


def assert_bit_exact(model: bytes, steps: Sequence[Sequence[np.ndarray]]) -> None:
    graph = read_model_bytes(model, "m")
    network = PreparedNetwork(graph)
    for inputs, expected in zip(steps, run_tflm_steps(model, steps), strict=True):
        outputs = network.run(dict(zip(graph.inputs, inputs, strict=True)))
        for computed, golden in zip(outputs.values(), expected, strict=True):
            np.testing.assert_array_equal(computed, golden.reshape(computed.shape), strict=True)


def test_a_loop_runs_until_its_condition_fails() -> None:
    rng = np.random.default_rng(0)
    assert_bit_exact(
        looping(),
        [
            [np.array(first, np.int32), rng.integers(-128, 128, SHAPE).astype(np.int8)]
            for first in (-3, LIMIT - 1, LIMIT, 9, 0)
        ],
    )


@pytest.mark.parametrize("branches", [("negated", "unchanged"), ("constant", "negated")])
def test_one_branch_runs(branches: tuple[str, str]) -> None:
    rng = np.random.default_rng(0)
    assert_bit_exact(
        branching(*branches),
        [
            [np.array(which), rng.integers(-128, 128, SHAPE).astype(np.int8)]
            for which in (True, False, True, True, False)
        ],
    )


def always(m: ModelBuilder) -> list[Tensor]:
    """A condition that holds, whatever the values are."""
    m.input((), dtype=np.int32), m.input(SHAPE, scale=0.5)
    return [m.constant(np.array(True))]


def test_a_loop_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "LONGEST_LOOP", 50)
    m = ModelBuilder()
    count, x = m.input((), dtype=np.int32), m.input(SHAPE, scale=0.5)
    ofms = [m.tensor((), np.int32), m.tensor(SHAPE, scale=0.5)]
    options = {
        "condSubgraphIndex": m.subgraph(always),
        "bodySubgraphIndex": m.subgraph(counted_sum),
    }
    m.operator("WHILE", [count, x], ofms, options, options_type="WhileOptions")
    graph = read_model_bytes(m.build(ofms), "m")
    with pytest.raises(ModelError, match=r"operator 0 \(WHILE\): it does not end within 50 rounds"):
        run_reference(graph, load_inputs([], graph))
