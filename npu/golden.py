"""The golden check: the same network in the TensorFlow Lite Micro interpreter, tensor by tensor."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import RESOURCE, Graph
from npu.tflm_process import PROCESS

# the interpreter's own records and the scratch buffers of its operators, beside the tensors; the C
# library takes blocks beyond 32 MiB from the system, which clears them: TFLM pads SPACE_TO_BATCH_ND
# with memory that it never wrote
ARENA_BASE_BYTES = 33 << 20
ARENA_BYTES_PER_OPERATOR = 16 << 10

TFLM = "TFLM"
"""The name of the golden model."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A tensor that differs: how often, and where first.

    `position` is the multi-dimensional index of the first differing element in memory order,
    `golden` says what expects otherwise.
    """

    tensor: int
    name: str
    count: int
    size: int
    position: tuple[int, ...]
    expected: int | float
    actual: int | float
    golden: str = TFLM

    def __str__(self) -> str:
        return (
            f"tensor {self.tensor} {self.name!r}: {self.count} of {self.size} values differ, "
            f"first at {list(self.position)}: {self.actual}, {self.golden} has {self.expected}"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a run agrees with what is `golden`, mostly TFLM.

    The counts are of tensors: outputs of the network, and intermediates that both sides know.
    Neither are those that operators write which TFLM itself executed: of these there are
    `not_checked`, and comparing them with TFLM would say nothing.
    """

    outputs_equal: int
    outputs: int
    intermediates_equal: int
    intermediates_compared: int
    intermediates: int
    mismatches: tuple[Mismatch, ...]
    golden: str = TFLM
    not_checked: int = 0

    @property
    def bit_exact(self) -> bool | None:
        """Whether every output was compared and no compared tensor differs; None for no tensor."""
        if self.not_checked and not self.outputs and not self.intermediates_compared:
            return None
        return not self.mismatches and self.outputs_equal == self.outputs

    @property
    def summary(self) -> str:
        """One line for the user."""
        return self._verdict() + (
            f"; operators that TFLM itself executed, which nothing checks: {self.not_checked}"
            if self.not_checked
            else ""
        )

    def _verdict(self) -> str:
        if self.bit_exact is None:
            return "nothing to check"
        if self.bit_exact:
            every = (
                "every intermediate tensor"
                if self.intermediates_compared == self.intermediates
                else "every intermediate tensor that is kept"
            )
            return (
                f"bit-exact with {self.golden}: {self.outputs} of {self.outputs} outputs and "
                f"{every} ({self.intermediates_equal} of {self.intermediates})"
            )
        return (
            f"NOT bit-exact with {self.golden}: {self.outputs_equal} of {self.outputs} outputs and "
            f"{self.intermediates_equal} of {self.intermediates_compared} intermediate tensors "
            "agree"
        )


def run_golden(
    model: bytes, graph: Graph, inputs: Mapping[int, NDArray[Any]]
) -> dict[int, NDArray[Any]]:
    """Run `model` (the file that `graph` was read from) in TFLM on `inputs` by tensor index.

    Returns inputs, outputs and every tensor that an operator writes, by tensor index: the
    interpreter is told to keep them all.

    Raises `GoldenError` when the interpreter is not installed, refuses the model, or crashes: it
    runs in a process of its own.
    """
    written = [t for op in graph.operators for t in op.outputs]
    known = dict.fromkeys((*graph.inputs, *written, *graph.outputs))
    # an index beyond the graph's would crash the interpreter: these come from the graph
    tensors = [t for t in known if graph.tensors[t].dtype != RESOURCE]
    return PROCESS.run(model, [inputs[i] for i in graph.inputs], tensors, _arena_bytes(graph))


def compare(
    graph: Graph,
    golden: Mapping[int, NDArray[Any]],
    values: Mapping[int, NDArray[Any]],
    *,
    name: str = TFLM,
    not_checked: Collection[int] = (),
) -> Comparison:
    """Compare `values` with the `golden` ones of `name`, both by tensor index, in execution order.

    An output that `values` lacks counts as not equal; an intermediate that it lacks (because it
    never existed in memory) is not compared. `not_checked` are the operators, by index, that TFLM
    executed.
    """
    excluded = {t for i in not_checked for t in graph.operator(i).outputs}
    mismatches: list[Mismatch] = []
    intermediates = [t for t in graph.intermediates() if t not in excluded]
    compared = [t for t in intermediates if t in golden and t in values]
    equal_intermediates = _count_equal(graph, compared, golden, values, mismatches)
    outputs = [t for t in dict.fromkeys(graph.outputs) if t not in excluded]
    known = [t for t in outputs if t in golden and t in values]
    equal_outputs = _count_equal(graph, known, golden, values, mismatches)
    return Comparison(
        outputs_equal=equal_outputs,
        outputs=len(outputs),
        intermediates_equal=equal_intermediates,
        intermediates_compared=len(compared),
        intermediates=len(intermediates),
        mismatches=tuple(replace(mismatch, golden=name) for mismatch in mismatches),
        golden=name,
        not_checked=len(not_checked),
    )


def _count_equal(
    graph: Graph,
    indices: Sequence[int],
    golden: Mapping[int, NDArray[Any]],
    values: Mapping[int, NDArray[Any]],
    mismatches: list[Mismatch],
) -> int:
    found = [m for i in indices if (m := _mismatch(graph, i, golden[i], values[i])) is not None]
    mismatches += found
    return len(indices) - len(found)


def _mismatch(
    graph: Graph, index: int, expected: NDArray[Any], actual: NDArray[Any]
) -> Mismatch | None:
    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        raise ValueError(
            f"tensor {index} is {actual.dtype.name} {list(actual.shape)}, "
            f"TFLM has {expected.dtype.name} {list(expected.shape)}"
        )
    differing = np.argwhere(_differs(expected, actual))
    if not len(differing):
        return None
    first = tuple(int(i) for i in differing[0])
    return Mismatch(
        tensor=index,
        name=graph.tensors[index].name,
        count=len(differing),
        size=expected.size,
        position=first,
        expected=expected[first].item(),
        actual=actual[first].item(),
    )


def _differs(expected: NDArray[Any], actual: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays of one shape and type do not have the same bits; any two NaN do."""
    if expected.dtype != np.float32:
        return np.asarray(expected != actual)
    bits = [np.asarray(x, order="C").reshape(-1).view(np.uint32) for x in (expected, actual)]
    different = (bits[0] != bits[1]).reshape(expected.shape)
    return np.asarray(different & ~(np.isnan(expected) & np.isnan(actual)))


def _arena_bytes(graph: Graph) -> int:
    graphs = graph.with_subgraphs()
    tensors = sum(t.size * t.dtype.itemsize + 64 for g in graphs for t in g.tensors)
    operators = sum(len(g.operators) for g in graphs)
    # operators may ask for scratch as large as their tensors
    return 2 * tensors + ARENA_BYTES_PER_OPERATOR * operators + ARENA_BASE_BYTES
