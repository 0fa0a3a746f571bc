"""Maps that several operators write side by side, kept apart where they lie in the arena.

In the scratchpad, ranges of channels are planes. In the arena they would lie between each other,
pixel by pixel. A map that nobody needs there as a whole lies as one dense map after the other.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from npu.compiler.terms.geometry import Extent, Place, PlacePart
from npu.compiler.terms.operator import LoweredOperator


@dataclass(frozen=True, slots=True)
class Part:
    """Channels `channel .. channel + channels` of a map, dense from byte `offset`."""

    channel: int
    channels: int
    offset: int

    def place(self, place: Place, extent: Extent) -> Place:
        """`place` of a map of `extent` that is this part."""
        return replace(
            place,
            offset=self.offset,
            row_stride=extent.width * self.channels,
            pixel_stride=self.channels,
        )


Parts = dict[int, tuple[Part, ...]]
"""The parts of maps, by tensor."""


def find_parts(operators: Iterable[LoweredOperator], whole: Collection[int]) -> Parts:
    """The maps that can lie in parts; `whole` are those that others need as they are."""
    writers: dict[int, list[tuple[Place, Extent]]] = {}
    readers: dict[int, list[tuple[Place, Extent]]] = {}
    for op in operators:
        writers.setdefault(op.target, []).append((op.target_at, op.ofm))
        for tensor, place, extent in zip(op.sources, op.sources_at, op.source_extents, strict=True):
            readers.setdefault(tensor, []).append((place, extent))
    gathered = {part.tensor for uses in readers.values() for use in uses for part in use[0].parts}
    found: Parts = {}
    for tensor, writing in writers.items():
        reading = readers.get(tensor, [])
        uses = [*writing, *reading]
        if (
            tensor in whole
            or tensor in gathered
            or len(writing) < 2
            or not all(_all_pixels(*use) for use in uses)
        ):
            continue
        parts = _parts_of(writing)
        if sum(part.channels for part in parts) == writing[0][0].whole.channels and all(
            _range_of(parts, place, extent) for place, extent in uses
        ):
            found[tensor] = parts
    return found


def part_operator(op: LoweredOperator, parts: Parts) -> LoweredOperator:
    """`op` with its maps where `parts` says."""
    places = []
    for tensor, place, extent in zip(op.sources, op.sources_at, op.source_extents, strict=True):
        if tensor in parts:
            chosen = _range_of(parts[tensor], place, extent)
            apart = tuple(
                PlacePart(tensor, part.channels, part.place(place, extent)) for part in chosen
            )
            place = apart[0].place if len(apart) == 1 else replace(place, parts=apart)
        places.append(place)
    target = op.target_at
    if op.target in parts:
        (part,) = _range_of(parts[op.target], target, op.ofm)
        target = part.place(target, op.ofm)
    return replace(op, source_places=tuple(places), target_place=target)


def _all_pixels(place: Place, extent: Extent) -> bool:
    """Whether a map in planes of another one has all its pixels."""
    return place.on_chip and place.pixel == 0 and extent.pixels == place.whole.pixels


def _parts_of(writing: Iterable[tuple[Place, Extent]]) -> tuple[Part, ...]:
    parts = []
    for place, extent in sorted(writing, key=lambda use: use[0].channel):
        parts.append(Part(place.channel, extent.channels, place.channel * place.whole.pixels))
    return tuple(parts)


def _range_of(parts: Iterable[Part], place: Place, extent: Extent) -> tuple[Part, ...]:
    """The parts that make a map; none if it begins or ends within one."""
    end = place.channel + extent.channels
    chosen = tuple(p for p in parts if place.channel <= p.channel < end)
    whole = sum(p.channels for p in chosen) == extent.channels
    return chosen if whole and chosen[0].channel == place.channel else ()
