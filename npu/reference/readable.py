"""Executes a graph on the readable kernels, which say what the prepared ones have to compute."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.model.graph import Graph
from npu.reference.executors.common import Context, check_value
from npu.reference.executors.registry import require_executors, run_operator
from npu.reference.state import State


def run_readable(
    graph: Graph,
    inputs: Mapping[int, NDArray[Any]],
    *,
    rounding: Rounding = Rounding.DOUBLE,
    state: State | None = None,
) -> dict[int, NDArray[Any]]:
    """Run `graph` once on `inputs` by tensor index, operator by operator.

    The bits, the arguments and the errors are those of `npu.reference.network.run_reference`, which
    is many times faster.
    Returns the value of every input and of every tensor that an operator writes.
    """
    require_executors(graph, rounding)
    state = state or State()
    state.declare(graph)
    values = {index: inputs[index] for index in graph.inputs}
    for index, value in values.items():
        check_value(graph.tensors[index], value)
    context = Context(values, rounding, state)
    for op in graph.operators:
        run_operator(graph, op, context)
    return values
