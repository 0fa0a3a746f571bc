"""Operators without a kernel of ours, executed by TFLM's own interpreter, one operator each.

The operator is cut out of its network as a model of its own, which is prepared once in the process
that TFLM runs in. Its bits are TFLM's by definition, so that nothing checks them.
"""

import weakref
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.errors import GoldenError, ModelError
from npu.model.cut_out import CutOut, cut_out
from npu.model.graph import RESOURCE, Graph, Operator
from npu.model.tflm_operators import REGISTERED
from npu.reference.executors.common import ANYTHING, Context, TypedExecutor, operand
from npu.reference.state import Past
from npu.tflm_process import PROCESS, REFUSED, PreparedModel

PACKAGE = "tflite_micro"
NOT_ALONE = frozenset(
    {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "IF", "WHILE"}
)
"""Kinds that mean something in their network only."""
KEEPING = frozenset(
    f"CUSTOM:{name}"
    for name in (
        *("CIRCULAR_BUFFER", "SignalDelay", "SignalFilterBankSpectralSubtraction", "SignalFramer"),
        *("SignalOverlapAdd", "SignalPCAN", "SignalStacker"),
    )
)
"""Kinds that keep something of their own from one inference to the next."""
COMPARISONS = frozenset({"GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "EQUAL", "NOT_EQUAL"})
# the arena of one operator beside its tensors, which it may want again as scratch; the C library
# takes blocks beyond 32 MiB from the system, which clears them: TFLM does not, and may read them
ARENA_BYTES = 33 << 20
# a network that runs twice for each inference, plain and keeping everything, needs one each
INTERPRETERS = 2


def reason_against_tflm(graph: Graph, op: Operator, rounding: Rounding) -> str:
    """Why TFLM's interpreter cannot execute `op` alone; empty if it can be asked to."""
    tensors = [graph.tensors[i] for i in (*op.present_inputs, *op.outputs)]
    if op.kind not in REGISTERED:
        return "TFLM has none either"
    if op.kind in NOT_ALONE or not graph.file or any(t.dtype == RESOURCE for t in tensors):
        return "TFLM cannot execute it apart from its network"
    if op.kind in COMPARISONS and tensors[0].dtype == np.int16:
        return "TFLM compares int16 with parameters that it never sets"
    if rounding != Rounding.DOUBLE:
        return f"TFLM, which could execute it, rounds as double, not as {rounding.name.lower()}"
    if find_spec(PACKAGE) is None:
        return "TFLM, which could execute it, is not installed (tflite-micro, Linux x86-64 only)"
    return ""


def _execute(graph: Graph, op: Operator, context: Context) -> list[NDArray[Any]]:
    operators = _OPERATORS.setdefault(graph, {})
    if op.index not in operators:
        operators[op.index] = _OperatorInTflm(graph, op)
    alone = operators[op.index]
    inputs = [operand(graph, op, op.inputs.index(i), context) for i in alone.inputs]
    try:
        if not alone.keeping:
            return alone.run(inputs)
        past = context.state.past(graph, op.index)
        outputs, following = alone.run_after(past, inputs)
        context.state.set_past(graph, op.index, following)
        return outputs
    except GoldenError as error:
        reason = str(error).removeprefix(REFUSED)
        raise ModelError(
            f"operator {op.index} ({op.kind}) has no kernel, and TFLM does not run it: {reason}"
        ) from None


class _OperatorInTflm:
    """One operator, prepared when it first runs."""

    def __init__(self, graph: Graph, op: Operator) -> None:
        self._alone: CutOut = cut_out(graph, op)
        tensors = [graph.tensors[i] for i in (*op.present_inputs, *op.outputs)]
        self._arena = ARENA_BYTES + 2 * sum(t.size * t.dtype.itemsize for t in tensors)
        self._fresh: list[PreparedModel] = []
        # each with what its interpreter has seen so far
        self._used: list[tuple[PreparedModel, Past | None]] = []
        self.inputs = self._alone.inputs
        self.keeping = op.kind in KEEPING or any(t.is_variable for t in tensors)

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs, of an operator that keeps nothing."""
        if not self._fresh:
            self._fresh.append(self._prepared())
        return self._fresh[0].run(inputs)

    def run_after(
        self, past: Past | None, inputs: Sequence[NDArray[Any]]
    ) -> tuple[list[NDArray[Any]], Past]:
        """The outputs after what the operator has seen in the `past`, and the past from then on.

        An interpreter that has seen just this goes on; otherwise a new one sees it all again.
        """
        following = Past.after(past, inputs)
        fitting = [
            place
            for place, (model, seen) in enumerate(self._used)
            if seen == past and model.prepared
        ]
        if fitting:
            model, _ = self._used.pop(fitting[0])
        else:
            model = self._prepared()
            for before in [] if past is None else past.inputs_so_far():
                model.run(before)
        outputs = model.run(inputs)
        self._used = [*self._used[-(INTERPRETERS - 1) :], (model, following)]
        return outputs, following

    def _prepared(self) -> PreparedModel:
        return PROCESS.prepare(self._alone.model, len(self._alone.outputs), self._arena)


_OPERATORS: "weakref.WeakKeyDictionary[Graph, dict[int, _OperatorInTflm]]" = (
    weakref.WeakKeyDictionary()
)

TFLM = TypedExecutor(_execute, (ANYTHING,))
"""Executes any operator for which `reason_against_tflm` has none."""
