"""Which operators run where, in which types, under which constraints: from what enforces them.

Nothing is said here that another module does not enforce: kernels and their types come from the
registry of executors, what the NPU asks from the docstrings of its predicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from npu.compiler.rules.operators import RULES, int8_activations
from npu.reference.executors.common import TypedExecutor
from npu.reference.executors.registry import EXECUTORS

NPU_TYPES = "int8"
"""What `int8_activations` demands of an operator on the NPU."""


@dataclass(frozen=True)
class Constraint:
    """What the NPU asks of an operator: the predicate's name, and what it tells the user."""

    rule: str
    text: str


@dataclass(frozen=True)
class Coverage:
    """Where operators of one kind, or of several kinds with the same answer, can run.

    Attributes
    ----------
    kinds : the schema's names of the operators.
    kernels : the types that the kernels take (`int8, int16`), with those of the output where they
        may differ (`int8 -> int8, int16`).
    npu : the types that the NPU takes, empty if it takes none.
    constraints : what the NPU asks beside them. The sizes of its memories and the operators beside
        it can keep an operator from it too.
    """

    kinds: tuple[str, ...]
    kernels: tuple[str, ...]
    npu: str
    constraints: tuple[Constraint, ...]


def coverage() -> list[Coverage]:
    """The coverage of each kind that has a kernel, in alphabetical order."""
    return [
        Coverage(
            (kind,),
            _summaries(kernels),
            NPU_TYPES if kind in RULES else "",
            tuple(
                Constraint(rule.__name__, str(rule.__doc__))
                for rule in RULES.get(kind, ())
                if rule is not int8_activations
            ),
        )
        for kind, kernels in EXECUTORS.items()
    ]


def _summaries(kernels: Sequence[TypedExecutor]) -> tuple[str, ...]:
    same = [name for kernel in kernels if kernel.outputs is None for name in kernel.inputs]
    other = [kernel.summary() for kernel in kernels if kernel.outputs is not None]
    return (*([", ".join(same)] if same else []), *other)


def grouped_coverage() -> list[Coverage]:
    """`coverage`, with kinds that have everything else in common in one entry; NPU kinds first."""
    groups: dict[tuple[object, ...], Coverage] = {}
    for one in coverage():
        answer = one.kernels, one.npu, one.constraints
        before = groups.get(answer)
        kinds = (*before.kinds, *one.kinds) if before else one.kinds
        groups[answer] = Coverage(kinds, *answer)
    return sorted(groups.values(), key=lambda group: (not group.npu, group.kinds))
