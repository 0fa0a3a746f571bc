"""Executors of operators that run other subgraphs: CALL_ONCE, IF and WHILE."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from npu.model.graph import Graph, Operator
from npu.model.options import CallOnceOptions, IfOptions, WhileOptions
from npu.reference.executors.common import ANYTHING, NOTHING, Context, TypedExecutor, operands

LONGEST_LOOP = 100_000
"""Rounds of a WHILE, far more than of any network: a damaged one may never end."""

RunOperator = Callable[[Graph, Operator, Context], None]
Arrays = Sequence[NDArray[Any]]


def control_executors(run_operator: RunOperator) -> dict[str, TypedExecutor]:
    """The executors of control flow; `run_operator` executes the operators of the subgraphs."""

    def run(called: Graph, arguments: Arrays, context: Context) -> list[NDArray[Any]]:
        inner = replace(context, values={})
        for index, value in zip(called.inputs, arguments, strict=True):
            inner.values[index] = value.reshape(called.tensors[index].shape)
        for op in called.operators:
            run_operator(called, op, inner)
        constants = [called.tensors[index].data for index in called.outputs]
        return [
            inner.values[index] if constant is None else constant
            for index, constant in zip(called.outputs, constants, strict=True)
        ]

    def call_once(graph: Graph, op: Operator, context: Context) -> list[NDArray[Any]]:
        if context.state.call_once(graph, op.index):
            run(graph.subgraphs[op.options_as(CallOnceOptions).subgraph], [], context)
        return []

    def either(graph: Graph, op: Operator, context: Context) -> list[NDArray[Any]]:
        options = op.options_as(IfOptions)
        condition, *arguments = operands(graph, op, context)
        chosen = options.then_subgraph if condition.item() else options.else_subgraph
        return run(graph.subgraphs[chosen], arguments, context)

    def repeat(graph: Graph, op: Operator, context: Context) -> list[NDArray[Any]]:
        options = op.options_as(WhileOptions)
        condition = graph.subgraphs[options.condition_subgraph]
        body = graph.subgraphs[options.body_subgraph]
        values = operands(graph, op, context)
        for _ in range(LONGEST_LOOP):
            if not run(condition, values, context)[0].item():
                return list(values)
            values = run(body, values, context)
        raise ValueError(f"it does not end within {LONGEST_LOOP} rounds")

    return {
        "CALL_ONCE": TypedExecutor(call_once, (NOTHING,)),
        "IF": TypedExecutor(either, (ANYTHING,)),
        "WHILE": TypedExecutor(repeat, (ANYTHING,)),
    }
