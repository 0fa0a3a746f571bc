"""Runs operators one by one on prepared kernels, for networks that are not prepared as a whole."""

from dataclasses import replace

from kernels.prepared.instruction_sets import VARIABLE, InstructionSet, default
from kernels.prepared.sequence import PreparedKernel
from kernels.requantize import Rounding
from npu.errors import EnvironmentVariableError
from npu.model.graph import Graph, Operator
from npu.reference.arena import operands_in_arena
from npu.reference.executors.common import Context, operand
from npu.reference.executors.prepare import WEIGHTED, prepare
from npu.reference.executors.registry import run_operator


def default_instruction_set() -> InstructionSet:
    """`instruction_sets.default()`; EnvironmentVariableError when this machine has not got it."""
    try:
        return default()
    except ValueError as error:
        raise EnvironmentVariableError(f"{VARIABLE}: {error}") from None


class OperatorRunner:
    """The operators of one network, each prepared when it first runs; not for several threads.

    Parameters
    ----------
    graph : the network.
    isa : the instruction set of the kernels, by default `default_instruction_set()`.
    """

    def __init__(self, graph: Graph, isa: InstructionSet | None = None) -> None:
        self._graph = graph
        self._isa = isa
        self._kept: dict[tuple[int, Rounding], PreparedKernel | None] = {}

    def run(self, op: Operator, context: Context) -> None:
        """Run one operator on the values of `context`, and add its outputs to them.

        Raises as `run_operator`, which also runs what has no prepared kernel.
        """
        prepared = self._prepare(op, context)
        if prepared is None:
            run_operator(self._graph, op, context)
            return
        count = len(operands_in_arena(op.kind, op.inputs))
        ofm = prepared.run(*(operand(self._graph, op, i, context) for i in range(count)))
        (index,) = op.outputs
        context.values[index] = ofm.reshape(self._graph.tensors[index].shape)

    def _prepare(self, op: Operator, context: Context) -> PreparedKernel | None:
        key = op.index, context.rounding
        if key not in self._kept:
            self._isa = self._isa or default_instruction_set()
            if op.kind in WEIGHTED and self._graph.tensors[op.inputs[1]].data is None:
                # packed anew for each value that its weights take
                return prepare(self._with_weights(op, context), op, context.rounding, self._isa)
            self._kept[key] = prepare(self._graph, op, context.rounding, self._isa)
        return self._kept[key]

    def _with_weights(self, op: Operator, context: Context) -> Graph:
        tensors = list(self._graph.tensors)
        weights = op.inputs[1]
        tensors[weights] = replace(tensors[weights], data=context.values[weights])
        return replace(self._graph, tensors=tuple(tensors))
