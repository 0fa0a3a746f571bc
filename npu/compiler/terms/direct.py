"""Work that goes from the arena to the arena, through a workspace in the scratchpad of its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from npu.compiler.terms.steps import Step
from rtl.config import NpuConfig

LARGE_WORKSPACE = 16384
"""Words beyond which a workspace gains nothing: commands are long enough."""


class Workspace(NamedTuple):
    """Words of the scratchpad, and an estimate of the cycles that work takes in them."""

    words: int
    cycles: float


@dataclass(frozen=True)
class DirectContext:
    """What the steps of direct work are made for.

    Attributes
    ----------
    position : of the operator in its segment.
    base, words : the workspace in the scratchpad.
    offsets : bytes in the arena, by tensor.
    """

    position: int
    base: int
    words: int
    offsets: Mapping[int, int]


class DirectWork(ABC):
    """An operator, or a part of one, that neither reads nor writes maps in the scratchpad."""

    @abstractmethod
    def smallest_workspace(self, config: NpuConfig) -> int:
        """Words without which it cannot be done."""

    @abstractmethod
    def smallest_weights(self, config: NpuConfig) -> int:
        """Bytes that the weight buffer must have."""

    @abstractmethod
    def cycles(self, words: int, config: NpuConfig) -> float:
        """Estimated cycles in a workspace of `words`."""

    @abstractmethod
    def steps(self, context: DirectContext, config: NpuConfig) -> Iterator[Step]:
        """What to do, in an order that is right serially."""

    def workspaces(self, config: NpuConfig) -> list[Workspace]:
        """Workspaces to choose from, by falling size."""
        smallest = self.smallest_workspace(config)
        sizes, words = [], max(min(LARGE_WORKSPACE, config.scratchpad_words // 2), smallest)
        while words > smallest:
            sizes.append(words)
            words //= 2
        return [Workspace(size, self.cycles(size, config)) for size in (*sizes, smallest)]
