"""Which operators run where, in which types, under which constraints: from what enforces them.

Nothing is said here that another module does not enforce: kernels and their types come from the
registry of executors, what the NPU asks from the docstrings of its predicates, and what TFLM knows
from a list that a test holds to its wheel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from npu.compiler.rules.operators import RULES, Rule, byte_activations, int8_activations
from npu.model.folding import SHAPES
from npu.model.tflm_operators import REGISTERED
from npu.reference.executors.common import TypedExecutor
from npu.reference.executors.registry import EXECUTORS
from npu.reference.executors.tflm import NOT_ALONE

NPU_TYPES: dict[Rule, str] = {
    int8_activations: "int8",
    byte_activations: "int8; uint8 -> int8; int8 -> uint8",
}
"""What rules demand of an operator's types on the NPU."""
EVALUATED = "evaluated when the model is read"
"""What stands for the kernels of operators that no backend ever sees."""


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
    tflm : what TFLM's own interpreter executes where no kernel does; empty where it cannot.
    npu : the types that the NPU takes, empty if it takes none.
    constraints : what the NPU asks beside them. The sizes of its memories and the operators beside
        it can keep an operator from it too.
    """

    kinds: tuple[str, ...]
    kernels: tuple[str, ...]
    tflm: str
    npu: str
    constraints: tuple[Constraint, ...]


def coverage() -> list[Coverage]:
    """The coverage of each kind that TFLM registers, in alphabetical order; no other kind runs."""
    return [
        Coverage(
            (kind,),
            _kernels(kind),
            _in_tflm(kind),
            "".join(types for rule, types in NPU_TYPES.items() if rule in RULES.get(kind, ())),
            tuple(
                Constraint(rule.__name__, str(rule.__doc__))
                for rule in RULES.get(kind, ())
                if rule not in NPU_TYPES
            ),
        )
        for kind in sorted(REGISTERED)
    ]


def totals() -> str:
    """How many of TFLM's operators run where, in one sentence."""
    kinds = coverage()
    kernels = [one for one in kinds if one.kernels]
    return (
        f"Of the {len(kinds)} operators that TFLM registers, "
        f"{sum(bool(one.npu) for one in kinds)} run on the NPU and {len(kernels)} on kernels of "
        f"this project; the other {len(kinds) - len(kernels)}, and other types and options of "
        "most, run in TFLM's own interpreter, where nothing checks them."
    )


def _kernels(kind: str) -> tuple[str, ...]:
    return (EVALUATED,) if kind in SHAPES else _summaries(EXECUTORS.get(kind, ()))


def _in_tflm(kind: str) -> str:
    if kind in NOT_ALONE or kind in SHAPES:
        return ""
    return "other types" if kind in EXECUTORS else "all types"


def _summaries(kernels: Sequence[TypedExecutor]) -> tuple[str, ...]:
    same = [name for kernel in kernels if kernel.outputs is None for name in kernel.inputs]
    other = [kernel.summary() for kernel in kernels if kernel.outputs is not None]
    return (*([", ".join(same)] if same else []), *other)


def grouped_coverage() -> list[Coverage]:
    """`coverage`, with kinds that have everything else in common in one entry; NPU kinds first."""
    groups: dict[tuple[object, ...], Coverage] = {}
    for one in coverage():
        answer = one.kernels, one.tflm, one.npu, one.constraints
        before = groups.get(answer)
        kinds = (*before.kinds, *one.kinds) if before else one.kinds
        groups[answer] = Coverage(kinds, *answer)
    return sorted(
        groups.values(), key=lambda group: (not group.npu, not group.kernels, group.kinds)
    )
