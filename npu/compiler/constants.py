"""Weights and parameters: their place in external memory, and the LOADs that bring them.

Each buffer on chip is used as a ring: what was loaded first is overwritten first. LOADs are added
just before the command that needs them; the order of the stream then moves them ahead as far as
the ring allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu.compiler.commands import Prepared, load_constants
from npu.compiler.errors import CompileError
from npu.compiler.pieces import BUFFER_SHARE, PieceKey
from rtl.config import PARAMETER_BYTES, NpuConfig
from rtl.isa import Destination

ALIGNMENT = 64
"""Bytes to which the constants of each kind are aligned, so that bursts are."""


CHUNK_BYTES = 1152
"""Small items are loaded together up to this size: more would delay the first of them."""


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
    destination : which buffer.
    items : bytes of every item, in the order of first use.
    uses : keys in the order of use.
    offset : where the items start in the constants.
    """

    def __init__(
        self,
        destination: Destination,
        items: dict[PieceKey, NDArray[np.uint8]],
        uses: Sequence[PieceKey],
        offset: int,
        config: NpuConfig,
    ) -> None:
        self._destination = destination
        self._config = config
        weights = destination == Destination.WEIGHTS
        self._unit = config.lanes * (config.channels if weights else PARAMETER_BYTES)
        self._capacity = config.weight_words if weights else config.parameter_blocks
        self._uses = uses
        self._next_use = 0
        self._sizes = {key: len(data) // self._unit for key, data in items.items()}
        ends = offset + np.cumsum([0, *(len(data) for data in items.values())])
        self._offsets = dict(zip(items, (int(end) for end in ends), strict=False))
        self._slots: list[Slot] = []
        self._head = 0

    def require(self, key: PieceKey) -> tuple[int, Prepared | None]:
        """The address of the next item in the order of use, and the LOAD that brings it, if any.

        Raises
        ------
        CompileError : the item is larger than the buffer.
        """
        assert self._uses[self._next_use] == key, "items must be required in the order of use"
        self._next_use += 1
        for slot in self._slots:
            if slot.key == key:
                return slot.first, None
        keys = self._chunk(key)
        size = sum(self._sizes[k] for k in keys)
        if size > self._capacity:
            raise CompileError(
                f"{size * self._unit} bytes of {self._destination.name.lower()} for one command"
                f" exceed the buffer of {self._capacity * self._unit}"
            )
        base = self._head if self._head + size <= self._capacity else 0
        self._head = base + size
        self._slots = [s for s in self._slots if s.end <= base or s.first >= base + size]
        position = base
        for k in keys:
            self._slots.append(Slot(k, position, position + self._sizes[k]))
            position += self._sizes[k]
        load = load_constants(
            self._destination, self._offsets[key], base, size * self._unit, self._config
        )
        return base, load

    def _chunk(self, key: PieceKey) -> list[PieceKey]:
        """`key` and small items behind it that one LOAD may bring along."""
        limit = min(CHUNK_BYTES // self._unit, self._capacity // BUFFER_SHARE)
        held = {slot.key for slot in self._slots}
        keys, size = [key], self._sizes[key]
        end = self._offsets[key] + size * self._unit
        for following in self._uses[self._next_use :]:
            if following in keys:
                continue
            size += self._sizes[following]
            if following in held or self._offsets[following] != end or size > limit:
                break
            # the very first command should not wait for what others need
            if not held and following.position != key.position:
                break
            keys.append(following)
            end += self._sizes[following] * self._unit
        return keys


def lay_out(
    weights: dict[PieceKey, NDArray[np.uint8]], parameters: dict[PieceKey, NDArray[np.uint8]]
) -> tuple[NDArray[np.uint8], int]:
    """The constants region, uint8, and the offset of the parameters behind the weights."""
    parts = list(weights.values())
    size = sum(len(part) for part in parts)
    parameters_offset = -(-size // ALIGNMENT) * ALIGNMENT
    parts.append(np.zeros(parameters_offset - size, np.uint8))
    parts.extend(parameters.values())
    return np.concatenate(parts), parameters_offset
