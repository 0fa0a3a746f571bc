"""Executes a graph on the prepared kernels, bit-exact with TFLM."""

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.prepared.instruction_sets import InstructionSet
from kernels.prepared.sequence import Call, KernelSequence
from kernels.requantize import Rounding
from npu.errors import ModelError
from npu.model.graph import Graph, Operator
from npu.reference.arena import VIEWS, operands_in_arena, place_tensors
from npu.reference.executors.common import Context, Values, check_value
from npu.reference.executors.prepare import prepare
from npu.reference.executors.registry import require_executors
from npu.reference.operator_runner import OperatorRunner, default_instruction_set
from npu.reference.state import State


def run_reference(
    graph: Graph,
    inputs: Mapping[int, NDArray[Any]],
    *,
    rounding: Rounding = Rounding.DOUBLE,
    state: State | None = None,
) -> dict[int, NDArray[Any]]:
    """Run `graph` once on `inputs` by tensor index; see `PreparedNetwork`.

    Returns the value of every input, of every tensor that an operator writes, and of every output.
    """
    network = PreparedNetwork(graph, rounding=rounding, state=state, keep_intermediates=True)
    outputs = network.run(inputs)
    return {**outputs, **network.values}


class PreparedNetwork:
    """A network whose parameters are derived and whose weights are packed, for many inferences.

    int8 tensors lie in one arena. Operators with a prepared kernel run as one compiled program; the
    others are executed between such programs.

    Parameters
    ----------
    graph : the network.
    rounding : how the kernels round where they rescale by a quantized multiplier.
    isa : the instruction set of the kernels, by default `default_instruction_set()`.
    state : the network's variables, by default those of a network just loaded. `run` changes them;
        `state.reset()` starts anew.
    keep_intermediates : give every tensor memory of its own, for `values`.

    Raises
    ------
    UnsupportedOperatorError : an operator has no kernel.
    EnvironmentVariableError : an instruction set is asked for that this machine has not.
    ModelError : parameters that no kernel accepts; also raised by `run`, for operators without a
        prepared kernel.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        rounding: Rounding = Rounding.DOUBLE,
        isa: InstructionSet | None = None,
        state: State | None = None,
        keep_intermediates: bool = False,
    ) -> None:
        require_executors(graph, rounding)
        self._graph = graph
        self._isa = isa or default_instruction_set()
        self._operators = OperatorRunner(graph, self._isa)
        self._values: Values = {}
        self.state = state or State()
        self._context = Context(self._values, rounding, self.state)
        self._places, size = place_tensors(graph, keep_all=keep_intermediates)
        self._arena = np.zeros(size, np.int8)
        self._views = {
            index: self._arena[place : place + graph.tensors[index].size].reshape(
                graph.tensors[index].shape
            )
            for index, place in self._places.items()
        }
        for index, view in self._views.items():
            constant = graph.tensors[index].data
            if constant is not None:
                view[...] = constant
        self._actions = self._prepare()
        operators = (op for each in graph.with_subgraphs() for op in each.operators)
        self._assigns = any(op.kind == "ASSIGN_VARIABLE" for op in operators)

    @property
    def values(self) -> dict[int, NDArray[Any]]:
        """Every input and every tensor that an operator writes, after a run that keeps them.

        The next `run` overwrites them. Without `keep_intermediates` only outputs are valid.
        """
        return dict(self._values)

    def run(self, inputs: Mapping[int, NDArray[Any]]) -> dict[int, NDArray[Any]]:
        """Run once on `inputs`, every one of the network's by tensor index; returns the outputs."""
        if self._assigns:
            self.state.declare(self._graph)
        for index in self._graph.inputs:
            self._keep(index, inputs[index])
        for action in self._actions:
            action()
        return {index: self._output(index) for index in self._graph.outputs}

    def _output(self, index: int) -> NDArray[Any]:
        constant = self._graph.tensors[index].data
        return (self._values[index] if constant is None else constant).copy()

    def _keep(self, index: int, value: NDArray[Any]) -> None:
        view = self._views.get(index)
        if view is None:
            self._values[index] = value
            return
        check_value(self._graph.tensors[index], value)
        view[...] = value
        self._values[index] = view

    def _prepare(self) -> list[Callable[[], None]]:
        """What a run does, in order."""
        actions: list[Callable[[], None]] = []
        calls: list[Call] = []

        def flush() -> None:
            if calls:
                actions.append(partial(KernelSequence(self._isa, calls).run, self._arena))
                calls.clear()

        for op in self._graph.operators:
            call = self._call(op)
            if call is not None:
                calls.append(call)
            elif not self._is_view(op):
                flush()
                actions.append(partial(self._execute, op))
                continue
            self._values[op.outputs[0]] = self._views[op.outputs[0]]
        flush()
        return actions

    def _is_view(self, op: Operator) -> bool:
        if op.kind not in VIEWS:
            return False
        place = self._places.get(op.outputs[0])
        return place is not None and place == self._places.get(op.inputs[0])

    def _call(self, op: Operator) -> Call | None:
        operands = operands_in_arena(op.kind, op.inputs)
        indices = (*operands, *op.outputs)
        if not operands or not all(index in self._places for index in indices):
            return None
        prepared = prepare(self._graph, op, self._context.rounding, self._isa)
        if prepared is None:
            return None
        given, made = self._graph.tensors[operands[0]], self._graph.output_tensor(op)
        if prepared.ifm_shape != given.shape or prod(prepared.ofm_shape) != made.size:
            raise ModelError(
                f"operator {op.index} ({op.kind}): the output has shape {list(made.shape)}, its "
                f"inputs make {list(prepared.ofm_shape)}"
            )
        first, last = self._places[operands[0]], self._places[operands[-1]]
        return Call(prepared, first, self._places[op.outputs[0]], last)

    def _execute(self, op: Operator) -> None:
        self._operators.run(op, self._context)
        for index in op.outputs:
            self._keep(index, self._values[index])
