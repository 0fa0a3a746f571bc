"""Constants: their place in external memory, and the LOADs that bring them.

The buffers of weights and of parameters are used as rings: what was loaded first is overwritten
first. LOADs are added just before the command that needs them; the order of the stream then moves
them ahead as far as the ring allows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from npu.compiler.errors import CompileError
from npu.compiler.stream.commands import block_units, load_constants
from npu.compiler.stream.pieces import BUFFER_SHARE
from npu.compiler.terms.command import CommandDraft
from npu.compiler.terms.piece import PieceKey
from rtl.config import NpuConfig
from rtl.isa import Destination
from sim.weight_stream import Encoding

ALIGNMENT = 64
"""Bytes to which groups of constants are aligned, so that bursts are."""

CHUNK_BYTES = 1152
"""Small items are loaded together up to this size: more would delay the first of them."""


class ConstantRegion:
    """The region of external memory that holds all constants, in the order in which they come."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.uint8]] = []
        self._size = 0

    def add(self, parts: Sequence[NDArray[np.uint8]]) -> int:
        """Append bytes, aligned and without gaps between `parts`; returns their offset."""
        if not parts:
            return self._size
        offset = -(-self._size // ALIGNMENT) * ALIGNMENT
        self._parts += [np.zeros(offset - self._size, np.uint8), *parts]
        self._size = offset + sum(len(part) for part in parts)
        return offset

    def bytes(self) -> NDArray[np.uint8]:
        """The whole region, uint8."""
        return np.concatenate([np.zeros(0, np.uint8), *self._parts])


class ConstantItem(NamedTuple):
    """What a piece needs in a buffer, uint8, and how a LOAD brings it there: ENCODED weights with
    their `encoding`."""

    destination: Destination
    data: NDArray[np.uint8]
    encoding: Encoding | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """An item in the ring, units `first..end`."""

    key: PieceKey
    first: int
    end: int


class ConstantRing:
    """One buffer on chip and the items that pass through it.

    Parameters
    ----------
    items : what passes through it, in the order of first use.
    uses : keys in the order of use.
    region : where the items are added.
    capacity : units of the buffer: weight words, parameter blocks or rows of the step list.
    """

    def __init__(
        self,
        items: Mapping[PieceKey, ConstantItem],
        uses: Sequence[PieceKey],
        region: ConstantRegion,
        capacity: int,
        config: NpuConfig,
    ) -> None:
        self._items = items
        self._config = config
        self._capacity = capacity
        self._uses = [key for key in uses if key in items]
        self._next_use = 0
        self._sizes = {key: self._size(item) for key, item in items.items()}
        offset = region.add([item.data for item in items.values()])
        ends = offset + np.cumsum([0, *(len(item.data) for item in items.values())])
        self._offsets = dict(zip(items, (int(end) for end in ends), strict=False))
        self._slots: list[Slot] = []
        self._head = 0

    def require(self, key: PieceKey) -> tuple[int, CommandDraft | None]:
        """The address of the next item in the order of use, and the LOAD that brings it, if any.

        Address 0 for a piece that has no item.

        Raises
        ------
        CompileError : the item is larger than the buffer.
        """
        if key not in self._items:
            return 0, None
        assert self._uses[self._next_use] == key, "items must be required in the order of use"
        self._next_use += 1
        for slot in self._slots:
            if slot.key == key:
                return slot.first, None
        keys = self._chunk(key)
        size = sum(self._sizes[k] for k in keys)
        destination = self._items[key].destination
        unit = self._unit(destination)
        if size > self._capacity:
            raise CompileError(
                f"{size * unit} bytes of {destination.name.lower()} for one command"
                f" exceed the buffer of {self._capacity * unit}"
            )
        base = position = self.reserve(size)
        for k in keys:
            self._slots.append(Slot(k, position, position + self._sizes[k]))
            position += self._sizes[k]
        offset, encoding = self._offsets[key], self._items[key].encoding
        bytes_ = size * unit if encoding is None else len(self._items[key].data)
        load = load_constants(destination, offset, base, bytes_, self._config, encoding)
        return base, load

    def reserve(self, size: int) -> int:
        """The address of `size` units for something else than an item."""
        base = self._head if self._head + size <= self._capacity else 0
        self._head = base + size
        self._slots = [s for s in self._slots if s.end <= base or s.first >= base + size]
        return base

    def _chunk(self, key: PieceKey) -> list[PieceKey]:
        """`key` and small items behind it that one LOAD may bring along."""
        destination = self._items[key].destination
        if destination == Destination.ENCODED:
            return [key]
        unit = self._unit(destination)
        limit = min(CHUNK_BYTES // unit, self._capacity // BUFFER_SHARE)
        held = {slot.key for slot in self._slots}
        keys, size = [key], self._sizes[key]
        end = self._offsets[key] + size * unit
        for following in self._uses[self._next_use :]:
            if following in keys:
                continue
            if self._items[following].destination != destination:
                break
            size += self._sizes[following]
            if following in held or self._offsets[following] != end or size > limit:
                break
            # the very first command should not wait for what others need
            if not held and following.position != key.position:
                break
            keys.append(following)
            end += self._sizes[following] * unit
        return keys

    def _size(self, item: ConstantItem) -> int:
        """Units of the buffer that an item takes."""
        if item.encoding is not None:
            return item.encoding.units // self._config.channels
        return len(item.data) // self._unit(item.destination)

    def _unit(self, destination: Destination) -> int:
        """Bytes of a unit of the buffer in external memory, where it is not encoded."""
        if destination in (Destination.WEIGHTS, Destination.ENCODED):
            return self._config.lanes * self._config.channels
        if destination == Destination.LIST:
            return self._config.lanes
        return self._config.lanes * block_units(destination)


class TableSlot:
    """The lookup table on chip, which holds one table at a time."""

    def __init__(self, region: ConstantRegion, config: NpuConfig) -> None:
        self._region = region
        self._config = config
        self._offsets: dict[bytes, int] = {}
        self._held: bytes | None = None

    def require(self, table: NDArray[np.uint8]) -> CommandDraft | None:
        """The LOAD that brings `table` (uint8 `[256]`), if it is not there already."""
        content = table.tobytes()
        if content == self._held:
            return None
        if content not in self._offsets:
            self._offsets[content] = self._region.add([table])
        self._held = content
        offset = self._offsets[content]
        return load_constants(Destination.TABLE, offset, 0, len(table), self._config)
