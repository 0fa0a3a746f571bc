"""An operator of the network as work in the terms of the hardware.

Feature maps are named by the index of the tensor that holds their bytes: views (RESHAPE, folded
PAD) share it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from npu.compiler.terms.direct import DirectWork
from npu.compiler.terms.geometry import NO_MAP, Extent, Place, Rows
from npu.compiler.terms.strided import Change
from npu.compiler.terms.tasks import ElementwiseTask, Task


def constant_source(operator: int) -> int:
    """What stands for a map that is a constant of `operator` among its sources: no tensor's
    index, but a number below all of them."""
    return -2 - operator


@dataclass(frozen=True, eq=False)
class LoweredOperator:
    """An operator as tasks that together compute its output.

    Parameters
    ----------
    index, kind, macs : the operator's index in the graph, its name, its useful MACs.
    sources : tensors whose bytes it reads, or `constant_source`.
    target : tensor whose bytes it writes.
    tasks : all with the same extents; their regions cover the output once.
    constants : the maps that are constants, int8 `[height, width, channels]`, by source.
    source_places, target_place : where the maps lie in their tensors; None: they are all of them.
    part : which part of the target it computes, None: all of it.
    source_part : which part of the sources that are no constants it reads, None: all of them.
    repeats : how often the target has each row; it is the first dimension of `part`.
    direct : what it does instead of tasks, from arena to arena.
    """

    index: int
    kind: str
    macs: int
    sources: tuple[int, ...]
    target: int
    tasks: tuple[Task, ...] = field(repr=False)
    constants: Mapping[int, NDArray[np.int8]] = field(repr=False, default_factory=dict)
    source_places: tuple[Place, ...] | None = None
    target_place: Place | None = None
    part: Change | None = field(repr=False, default=None)
    source_part: Change | None = field(repr=False, default=None)
    repeats: int = 1
    direct: DirectWork | None = None

    @property
    def source_extents(self) -> tuple[Extent, ...]:
        """Extent of each source; direct work sees no maps."""
        if self.direct is not None:
            return (NO_MAP,) * len(self.sources)
        return self.tasks[0].operand_extents()

    @property
    def ofm(self) -> Extent:
        """Extent of the output; direct work makes no map."""
        return NO_MAP if self.direct is not None else self.tasks[0].ofm

    @property
    def sources_at(self) -> tuple[Place, ...]:
        """Where each source lies."""
        if self.source_places is not None:
            return self.source_places
        return tuple(Place.of_all(extent) for extent in self.source_extents)

    @property
    def read_in_arena(self) -> frozenset[int]:
        """Tensors that it cannot read in the scratchpad."""
        found: set[int] = set()
        for tensor, place in zip(self.sources, self.sources_at, strict=True):
            if not place.on_chip:
                parts = tuple(part.tensor for part in place.parts)
                found.update(parts or (tensor,))
        return frozenset(found)

    @property
    def target_at(self) -> Place:
        """Where the output lies."""
        return self.target_place or Place.of_all(self.ofm)

    def input_rows(self, number: int, rows: Rows) -> Rows:
        """Rows of source `number` that output rows `rows` read."""
        y0, y1 = rows
        spans = []
        for task in self.tasks:
            if isinstance(task, ElementwiseTask):
                return (0, 1) if task.operand_extents()[number].height == 1 else rows
            low, high = max(y0, task.area.y0), min(y1, task.area.y1)
            if low < high:
                spans.append(task.input_rows(low, high))
        return min(s[0] for s in spans), max(s[1] for s in spans)
