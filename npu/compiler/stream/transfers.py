"""LOADs and STOREs of runs of bytes at a distance from each other, each a row of words on chip.

Word `j` of run `r` lies at `base + j * runs + r`.
"""

from dataclasses import dataclass

from npu.compiler.stream.estimate import row_transfer_cycles
from npu.compiler.terms.command import CommandDraft
from npu.compiler.terms.geometry import ceil_div
from npu.compiler.terms.memory import Access, Memory, strided_bytes
from rtl.config import NpuConfig
from rtl.isa import Destination, Opcode, Region

ROW_LIMIT = (1 << 16) - 1
"""Rows of one command at most."""

RUN_LIMIT = (1 << 16) - 1
"""Bytes of a pixel at most: runs are loaded and stored as pixels."""

STRIDE_LIMIT = (1 << 24) - 1
"""Bytes between two rows at most."""


def word_limit(config: NpuConfig) -> int:
    """Words of a pixel at most."""
    return min((1 << 12) - 1, RUN_LIMIT // config.lanes)


def load_fields(
    *,
    region: Region,
    offset: int,
    rows: int,
    row_bytes: int,
    row_stride: int,
    pixels: int,
    pixel_bytes: int,
    pixel_words: int,
    base: int,
    row_pitch: int,
    plane_pitch: int = 0,
    destination: Destination = Destination.SCRATCHPAD,
) -> dict[str, int]:
    """The fields of a LOAD that neither folds nor pads."""
    return {
        "offset": offset,
        "region": region,
        "destination": destination,
        "rows": rows,
        "pad_value": 0,
        "row_bytes": row_bytes,
        "row_stride": row_stride,
        "pad_left": 0,
        "fold": 0,
        "merge": 0,
        "lane_offset": 0,
        "pixels": pixels,
        "pixel_bytes": pixel_bytes,
        "pixel_step": pixel_bytes,
        "pixel_words": pixel_words,
        "base": base,
        "row_pitch": row_pitch,
        "plane_pitch": plane_pitch,
    }


@dataclass(frozen=True, slots=True)
class Gather:
    """Reads `count` runs of `length` bytes, `stride` bytes apart."""

    region: Region
    offset: int
    count: int
    stride: int
    length: int

    def load(self, base: int, config: NpuConfig) -> CommandDraft:
        """LOAD of the runs to words from `base`."""
        words = ceil_div(self.length, config.lanes)
        dense = self.stride == self.length or self.count == 1
        fields = load_fields(
            region=self.region,
            offset=self.offset,
            rows=1 if dense else self.count,
            row_bytes=self.count * self.length if dense else self.length,
            row_stride=0 if dense else self.stride,
            pixels=self.count if dense else 1,
            pixel_bytes=self.length,
            pixel_words=words,
            base=base,
            row_pitch=0 if dense else 1,
            plane_pitch=self.count,
        )
        read = strided_bytes(self.offset, self.count, self.stride, self.length)
        written = Access(Memory.SCRATCHPAD, base, words * self.count)
        cycles = row_transfer_cycles(
            fields["rows"], self.count * self.length, self.count * words, config
        )
        reads = (read,) if self.region == Region.ARENA else ()
        return CommandDraft(Opcode.LOAD, fields, reads, (written,), cycles)


@dataclass(frozen=True, slots=True)
class Scatter:
    """Writes `count` runs of `length` bytes, `stride` bytes apart, to the arena."""

    offset: int
    count: int
    stride: int
    length: int

    def store(self, base: int, config: NpuConfig, plane_pitch: int | None = None) -> CommandDraft:
        """STORE of the runs from words at `base`, whose planes are `plane_pitch` words apart
        where it is not the number of runs."""
        words = ceil_div(self.length, config.lanes)
        pitch = self.count if plane_pitch is None else plane_pitch
        dense = self.stride == self.length or self.count == 1
        fields = {
            "offset": self.offset,
            "region": Region.ARENA,
            "rows": 1 if dense else self.count,
            "pixel_words": words,
            "row_stride": 0 if dense else self.stride,
            "pixels": self.count if dense else 1,
            "pixel_bytes": self.length,
            "base": base,
            "row_pitch": 0 if dense else 1,
            "plane_pitch": pitch,
        }
        read = Access(Memory.SCRATCHPAD, base, self.count, words, pitch)
        written = strided_bytes(self.offset, self.count, self.stride, self.length)
        cycles = row_transfer_cycles(
            fields["rows"], self.count * self.length, self.count * words, config
        )
        return CommandDraft(Opcode.STORE, fields, (read,), (written,), cycles)
