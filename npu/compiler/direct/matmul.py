"""BATCH_MATMUL of two activations: the second one becomes the weights of a CONV.

The grid multiplies bytes without zero points. `(a - za) * (b - zb)` is a sum of products of bytes
that a kernel of several taps adds up: taps inside the map meet `a`, with weights `b` and `-zb`;
taps outside of it meet the padding value, which stands for `-za`, with the same weights.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

from npu.compiler.stream.estimate import COMPUTE_OVERHEAD, TRANSFER_OVERHEAD, row_transfer_cycles
from npu.compiler.stream.transfers import ROW_LIMIT, Gather, Scatter, load_fields
from npu.compiler.terms.command import CommandDraft
from npu.compiler.terms.direct import DirectContext, DirectWork
from npu.compiler.terms.geometry import ceil_div
from npu.compiler.terms.memory import Access, Memory, strided_bytes
from npu.compiler.terms.steps import CommandStep, Step, WeightStep
from npu.compiler.terms.strided import Strided
from rtl.config import NpuConfig
from rtl.isa import Destination, Opcode, Region

INT8_MIN, INT8_MAX = -128, 127


@dataclass(frozen=True, slots=True)
class Taps:
    """The taps of the kernel.

    Parameters
    ----------
    inside : constant weights of the taps inside the map, None for the second operand.
    outside : the same for those outside of it.
    padding : what taps outside of the map meet.
    """

    inside: tuple[int | None, ...]
    outside: tuple[int | None, ...]
    padding: int

    @property
    def all(self) -> tuple[int | None, ...]:
        """The weights of all taps, in order."""
        return self.inside + self.outside

    @property
    def constants(self) -> tuple[int, ...]:
        """The constant weights that occur."""
        return tuple(sorted({value for value in self.all if value is not None}))


def find_taps(a_zero_point: int, b_zero_point: int) -> Taps:
    """The fewest taps that multiply operands with these zero points."""
    inside = (None, *_addends(-b_zero_point))
    if a_zero_point == 0:
        return Taps(inside, (), 0)
    # 128 is no int8: twice 64 is
    repeats = 2 if -a_zero_point > INT8_MAX else 1
    outside = (*(None,) * repeats, *_addends(-b_zero_point * repeats))
    return Taps(inside, outside, -a_zero_point // repeats)


def _addends(total: int) -> tuple[int, ...]:
    """The fewest int8 values that add up to `total`."""
    count = ceil_div(total, INT8_MAX) if total > 0 else ceil_div(total, INT8_MIN)
    return tuple(total * (i + 1) // count - total * i // count for i in range(count))


@dataclass(frozen=True)
class MatMul(DirectWork):
    """Products of matrices, one after the other.

    Parameters
    ----------
    a, b, ofm : `[batches..., rows, depth]`, `[batches..., columns, depth]` and
        `[batches..., rows, columns]` as they lie in their tensors, with dense rows.
    tensors : those of `a`, `b` and `ofm`, or what stands for a constant.
    b_region : where the second operand lies.
    taps : see `find_taps`.
    constants : what stands, among the offsets, for the weights of constant taps for one column:
        `depth` times each of the taps' `constants`.
    multiplier, shift, ofm_zero_point : of the result.
    """

    a: Strided
    b: Strided
    ofm: Strided
    tensors: tuple[int, int, int]
    b_region: Region
    taps: Taps
    constants: int
    multiplier: int
    shift: int
    ofm_zero_point: int

    @property
    def depth(self) -> int:
        """Products that each result adds up."""
        return self.a.shape[-1]

    def smallest_workspace(self, config: NpuConfig) -> int:
        return 2 * self._row_words(config)

    def smallest_weights(self, config: NpuConfig) -> int:
        words = self._step_words(config) * config.groups_per_word
        return words * config.channels * config.lanes

    def cycles(self, words: int, config: NpuConfig) -> float:
        batches = self.ofm.size // (self.ofm.shape[-1] * self.ofm.shape[-2])
        rows, columns = self.ofm.shape[-2:]
        parts = ceil_div(rows, words // 2 // self._row_words(config))
        blocks = ceil_div(columns, config.channels)
        compute = ceil_div(rows, config.pixels) * self._step_words(config) * blocks
        commands = parts * (2 * TRANSFER_OVERHEAD + COMPUTE_OVERHEAD)
        return batches * (compute + commands)

    def steps(self, context: DirectContext, config: NpuConfig) -> Iterator[Step]:
        a, b, ofm = (
            layout.offset + context.offsets[tensor]
            for layout, tensor in zip((self.a, self.b, self.ofm), self.tensors, strict=True)
        )
        half = context.words // 2
        most = min(half // self._row_words(config), ROW_LIMIT)
        rows = self.ofm.shape[-2]
        number = 0
        for batch in product(*(range(n) for n in self.ofm.shape[:-2])):
            starts = [
                start + sum(i * stride for i, stride in zip(batch, layout.strides, strict=False))
                for start, layout in ((a, self.a), (b, self.b), (ofm, self.ofm))
            ]
            for first in range(0, rows, most):
                base = context.base + number % 2 * half
                number += 1
                count = min(most, rows - first)
                part = _Part(self, base, count, config)
                at = starts[0] + first * self.a.strides[-2], starts[1]
                yield from part.steps(context, at)
                to = starts[2] + first * self.ofm.strides[-2]
                columns = self.ofm.shape[-1]
                scatter = Scatter(to, count, self.ofm.strides[-2], columns)
                yield CommandStep(context.position, scatter.store(part.ofm, config))

    def planes(self, config: NpuConfig) -> tuple[int, int]:
        """Words of a row of the first operand and of the result."""
        return ceil_div(self.depth, config.lanes), ceil_div(self.ofm.shape[-1], config.lanes)

    def _row_words(self, config: NpuConfig) -> int:
        return sum(self.planes(config))

    def _step_words(self, config: NpuConfig) -> int:
        """Weight words for `config.channels` columns."""
        return len(self.taps.all) * self.planes(config)[0]


class _Part:
    """Some rows of one product."""

    def __init__(self, work: MatMul, base: int, rows: int, config: NpuConfig) -> None:
        self._work = work
        self._config = config
        self._rows = rows
        self._ifm = base
        self._planes, self._words = work.planes(config)
        self.ofm = base + rows * self._planes
        """Where the result lies."""

    def steps(self, context: DirectContext, at: tuple[int, int]) -> Iterator[Step]:
        """Load rows of the first operand from byte `at[0]` and multiply by the second one."""
        work, config = self._work, self._config
        a = Gather(Region.ARENA, at[0], self._rows, work.a.strides[-2], work.depth)
        yield CommandStep(context.position, a.load(self._ifm, config))
        n = config.groups_per_word
        per_group = len(work.taps.all) * self._planes
        # half of the buffer, so that the next weights arrive while these are used
        fitting = max(config.weight_words // 2 // per_group, n)
        depth = min(fitting // n * n, config.accumulator_depth, self._words * n)
        most = max(fitting // depth, 1)
        whole, rest = divmod(self._words, depth // n)
        pieces = [
            (first * depth // n, min(most, whole - first), depth) for first in range(0, whole, most)
        ]
        if rest:
            pieces.append((whole * depth // n, 1, rest * n))
        for first, blocks, groups in pieces:
            yield WeightStep(
                context.position,
                blocks * groups * per_group,
                partial(self.commands, context, at[1], first, blocks, groups),
            )

    def commands(
        self, context: DirectContext, b: int, first: int, blocks: int, depth: int, base: int
    ) -> Iterable[CommandDraft]:
        """Multiply by the columns of result words from `first` on.

        The weights of `blocks` blocks of `depth` groups go to weight word `base`.
        """
        for block in range(blocks):
            for number, constant in enumerate(self._work.taps.all):
                tap = block * len(self._work.taps.all) + number
                at = base + tap * self._planes * depth
                column = first * self._config.lanes + block * depth * self._config.channels
                yield self._weights(context, b, column, depth, at, constant)
        yield self._conv(first, blocks, depth, base)

    def _weights(
        self,
        context: DirectContext,
        b: int,
        column: int,
        depth: int,
        base: int,
        constant: int | None,
    ) -> CommandDraft:
        """The LOAD of one tap's weights for one block."""
        work, config = self._work, self._config
        columns = min(depth * config.channels, work.ofm.shape[-1] - column)
        stride, region = work.b.strides[-2], work.b_region
        offset = b + column * stride
        if constant is not None:
            row = work.taps.constants.index(constant)
            offset, stride = context.offsets[work.constants] + row * work.depth, 0
            region = Region.CONSTANTS
        dense = columns == 1 or stride == work.depth
        fields = load_fields(
            destination=Destination.WEIGHTS,
            region=region,
            offset=offset,
            rows=1 if dense else columns,
            row_bytes=columns * work.depth if dense else work.depth,
            row_stride=0 if dense else stride,
            pixels=columns if dense else 1,
            pixel_bytes=work.depth,
            pixel_words=self._planes,
            base=base * config.channels,
            row_pitch=0 if dense else 1,
            plane_pitch=depth * config.channels,
        )
        read = strided_bytes(offset, columns, stride, work.depth)
        written = Access(Memory.WEIGHTS, base, self._planes * depth)
        cycles = row_transfer_cycles(
            fields["rows"], columns * work.depth, columns * self._planes, config
        )
        reads = (read,) if region == Region.ARENA else ()
        return CommandDraft(Opcode.LOAD, fields, reads, (written,), cycles)

    def _conv(self, first: int, blocks: int, depth: int, base: int) -> CommandDraft:
        work, config, rows = self._work, self._config, self._rows
        taps = work.taps
        words = blocks * depth // config.groups_per_word
        ofm = self.ofm + first * rows
        fields = {
            "ifm_origin": self._ifm,
            "ifm_plane_pitch": rows,
            "ifm_row_step": 0,
            # every tap inside the map meets the same pixels
            "ifm_tap_row_step": 0,
            "group_step": config.pixels,
            "tap_step": 1,
            "window_stride": 1,
            "group_pixels": config.pixels,
            "ifm_zero_point": taps.padding,
            "activation_max": INT8_MAX,
            "ifm_height": len(taps.inside),
            "ifm_width": rows,
            "ofm_height": 1,
            "ofm_width": rows,
            "kernel_height": len(taps.all),
            "kernel_width": 1,
            "channel_steps": self._planes,
            "blocks": blocks,
            "depth": depth,
            "stride_y": 1,
            "dilation_y": 1,
            "pad_top": 0,
            "pad_left": 0,
            "weight_base": base,
            "parameter_base": 0,
            "activation_min": INT8_MIN,
            "ofm_base": ofm,
            "ofm_plane_pitch": rows,
            "ofm_row_pitch": rows,
            "ofm_zero_point": work.ofm_zero_point,
            "ofm_multiplier": work.multiplier,
            "ofm_shift": work.shift,
            "shared_scale": 1,
            "no_bias": 1,
        }
        size = blocks * depth * len(taps.all) * self._planes
        reads = (
            Access(Memory.SCRATCHPAD, self._ifm, rows * self._planes),
            Access(Memory.WEIGHTS, base, size),
        )
        writes = (Access(Memory.SCRATCHPAD, ofm, rows * words),)
        cycles = ceil_div(rows, config.pixels) * size
        return CommandDraft(Opcode.CONV, fields, reads, writes, cycles)
