"""The inner loops of the convolutions: tiles of accumulators that stay in registers.

Written as LLVM vector instructions because the compiler does not keep such tiles in registers, and
does not find dot products of bytes, by itself. A tile begins with the bias, sums all taps, and
stores its outputs requantized, so that no accumulator ever reaches memory.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import config
from numba.core import types
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype
from numpy.typing import NDArray

from kernels.prepared import llvm
from kernels.prepared.instruction_sets import InstructionSet, tagged
from kernels.prepared.llvm import I32, I64, Codegen, constant
from kernels.prepared.panels import OUTPUT_ROWS, OutputRow, depthwise_order
from kernels.prepared.sum_tile import interpreted_rescale


class Tile(NamedTuple):
    """Where a tile reads and writes; positions are elements of flat arrays, and int64.

    Pixel p of `pixels` reads `x` at `base`, plus the p-th offset from `origins` on, plus those of
    its taps: `steps` entries from `taps` on. The packed weights begin at `panel`, the output stage
    at `channel` (see `kernels.prepared.panels`). Its outputs, `valid` channels of them at most,
    go to `target + p * pitch`.
    """

    base: int
    taps: int
    steps: int
    origins: int
    panel: int
    channel: int
    target: int
    pixels: int
    pitch: int
    valid: int
    zero_point: int
    low: int
    high: int


FIELDS = len(Tile._fields)


def _fields(builder: Any, value: Any) -> Tile:
    return Tile(*(builder.extract_value(value, i) for i in range(FIELDS)))


def _pixels(
    builder: Any, offsets: Any, tile: Tile, first: Any, pixels: int
) -> tuple[list[Any], list[Any]]:
    """(Numbers, addresses in x) of `pixels` pixels; the last pixel stands in for what follows."""
    last = builder.sub(tile.pixels, constant(1))
    numbers, places = [], []
    for p in range(pixels):
        number = builder.add(first, constant(p))
        inside = builder.icmp_signed("<", number, last)
        numbers.append(builder.select(inside, number, last))
        entry = builder.gep(offsets, [builder.add(tile.origins, numbers[-1])])
        origin = builder.sext(builder.load(entry), I64)
        places.append(builder.add(tile.base, origin))
    return numbers, places


def _offset(builder: Any, offsets: Any, position: Any) -> Any:
    return builder.sext(builder.load(builder.gep(offsets, [position])), I64)


def _rows(
    builder: Any, isa: InstructionSet, channels: Any, position: Any, width: int, lanes: int
) -> Any:
    """A function from (row of the output stage, vector number) to the vector."""
    first = builder.gep(channels, [position])

    def row(which: OutputRow, vector: int) -> Any:
        place = constant(int(which) * width + vector * lanes)
        return llvm.load(builder, builder.gep(first, [place]), llvm.ints(lanes))

    return row


def _scales(row: Any, vector: int) -> llvm.Scales:
    return llvm.Scales(*(row(which, vector) for which in OutputRow if which != OutputRow.BIAS))


def _range(builder: Any, tile: Tile) -> llvm.Range:
    limits = tile.zero_point, tile.low, tile.high
    return llvm.Range(*(builder.trunc(value, I32) for value in limits))


def _matrix_codegen(isa: InstructionSet, pixels: int, vectors: int) -> Codegen:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, offsets, panels, channels, ofm = (
            llvm.data(context, builder, signature, arguments, i) for i in range(1, 6)
        )
        tile, first = _fields(builder, arguments[6]), arguments[7]
        output = _range(builder, tile)
        width = isa.lanes * vectors
        vector = llvm.ints(isa.lanes)
        numbers, places = _pixels(builder, offsets, tile, first, pixels)
        sources = [builder.gep(x, [place]) for place in places]
        weights = builder.gep(panels, [tile.panel])
        row = _rows(builder, isa, channels, tile.channel, width, isa.lanes)
        biases = [row(OutputRow.BIAS, v) for v in range(vectors)]
        signs = llvm.sign_bits(builder, isa.lanes) if isa.vnni else None
        with llvm.loop(builder, tile.steps, biases * pixels) as (step, sums, following):
            offset = _offset(builder, offsets, builder.add(tile.taps, step))
            line = builder.gep(weights, [builder.mul(step, constant(width * isa.taps))])
            w = [
                llvm.load(builder, builder.gep(line, [constant(v * isa.lanes * isa.taps)]), vector)
                for v in range(vectors)
            ]
            for p in range(pixels):
                pointer = builder.bitcast(builder.gep(sources[p], [offset]), I32.as_pointer())
                values = llvm.splat(builder, builder.load(pointer, align=1), isa.lanes)
                if isa.vnni:
                    values = builder.xor(values, signs)
                for v in range(vectors):
                    acc = sums[p * vectors + v]
                    following.append(llvm.dot(builder, isa, acc, values, w[v]))
        for v in range(vectors):
            scales = _scales(row, v)
            rest = builder.sub(tile.valid, constant(v * isa.lanes))
            for p in range(pixels):
                place = builder.add(tile.target, builder.mul(numbers[p], tile.pitch))
                place = builder.add(place, constant(v * isa.lanes))
                value = llvm.requantize(builder, following[p * vectors + v], scales, output)
                value = builder.trunc(value, llvm.bytes_of(isa.lanes))
                llvm.store_part(builder, value, builder.gep(ofm, [place]), rest)
        return context.get_dummy_value()

    return codegen


def _depthwise_codegen(isa: InstructionSet) -> Codegen:
    pixels, lanes, group = isa.depthwise_pixels, isa.depthwise_lanes, isa.taps

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, offsets, panels, channels, ofm = (
            llvm.data(context, builder, signature, arguments, i) for i in range(5)
        )
        tile, first = _fields(builder, arguments[5]), arguments[6]
        output = _range(builder, tile)
        vector = llvm.ints(lanes)
        numbers, places = _pixels(builder, offsets, tile, first, pixels)
        sources = [builder.gep(x, [place]) for place in places]
        weights = builder.gep(panels, [tile.panel])
        row = _rows(builder, isa, channels, tile.channel, isa.block, lanes)
        biases = [row(OutputRow.BIAS, v) for v in range(group)]
        signs = llvm.sign_bits(builder, lanes) if isa.vnni else None
        with llvm.loop(builder, tile.steps, biases * pixels) as (step, sums, following):
            entry = builder.add(tile.taps, builder.mul(step, constant(group)))
            near = [
                _offset(builder, offsets, builder.add(entry, constant(t))) for t in range(group)
            ]
            line = builder.gep(weights, [builder.mul(step, constant(isa.block * group))])
            w = [
                llvm.load(builder, builder.gep(line, [constant(j * lanes * group)]), vector)
                for j in range(group)
            ]
            for p in range(pixels):
                values = [
                    llvm.load(builder, builder.gep(sources[p], [offset]), vector) for offset in near
                ]
                if isa.vnni:
                    values = [builder.xor(value, signs) for value in values]
                for j, value in enumerate(llvm.interleave(builder, isa, values)):
                    acc = sums[p * group + j]
                    following.append(llvm.dot(builder, isa, acc, value, w[j]))
        all_scales = [_scales(row, j) for j in range(group)]
        for p in range(pixels):
            results = [
                llvm.requantize(builder, following[p * group + j], all_scales[j], output)
                for j in range(group)
            ]
            place = builder.add(tile.target, builder.mul(numbers[p], tile.pitch))
            packed = llvm.pack(builder, isa, results)
            llvm.store_part(builder, packed, builder.gep(ofm, [place]), tile.valid)
        return context.get_dummy_value()

    return codegen


@intrinsic(prefer_literal=True)
def _compiled_matrix_tile(
    typing: Any,
    form: Any,
    x: Any,
    offsets: Any,
    panels: Any,
    channels: Any,
    ofm: Any,
    tile: Any,
    first: Any,
) -> tuple[Any, Codegen]:
    isa = tagged(as_dtype(panels.dtype))
    arrays = x, offsets, panels, channels, ofm
    shape = isa.tile(form.literal_value)
    return types.void(form, *arrays, tile, types.int64), _matrix_codegen(isa, *shape)


@intrinsic
def _compiled_depthwise_tile(
    typing: Any,
    x: Any,
    offsets: Any,
    panels: Any,
    channels: Any,
    ofm: Any,
    tile: Any,
    first: Any,
) -> tuple[Any, Codegen]:
    arrays = x, offsets, panels, channels, ofm
    codegen = _depthwise_codegen(tagged(as_dtype(panels.dtype)))
    return types.void(*arrays, tile, types.int64), codegen


def _interpreted_matrix_tile(
    form: int,
    x: NDArray[np.int8],
    offsets: NDArray[np.int32],
    panels: NDArray[np.generic],
    channels: NDArray[np.int32],
    ofm: NDArray[np.int8],
    tile: Tile,
    first: int,
) -> None:
    isa = tagged(panels.dtype)
    pixels, vectors = isa.tile(form)
    width, group = isa.lanes * vectors, isa.taps
    weights = panels[tile.panel : tile.panel + tile.steps * width * group].view(isa.element)
    stage = channels[tile.channel : tile.channel + OUTPUT_ROWS * width].reshape(OUTPUT_ROWS, width)
    taps = offsets[tile.taps : tile.taps + tile.steps, np.newaxis]
    for number in range(first, min(first + pixels, tile.pixels)):
        places = tile.base + offsets[tile.origins + number] + taps + np.arange(group)
        values = x[places].astype(np.int64) + (128 if isa.vnni else 0)
        products = values[:, np.newaxis, :] * weights.reshape(tile.steps, width, group)
        results = _interpreted_output(products.sum((0, 2)), stage, tile)
        begin = tile.target + number * tile.pitch
        ofm[begin : begin + min(tile.valid, width)] = results[: tile.valid]


def _interpreted_depthwise_tile(
    x: NDArray[np.int8],
    offsets: NDArray[np.int32],
    panels: NDArray[np.generic],
    channels: NDArray[np.int32],
    ofm: NDArray[np.int8],
    tile: Tile,
    first: int,
) -> None:
    isa = tagged(panels.dtype)
    block, group = isa.block, isa.taps
    order = depthwise_order(isa)
    weights = panels[tile.panel : tile.panel + tile.steps * block * group].view(isa.element)
    stage = channels[tile.channel : tile.channel + OUTPUT_ROWS * block].reshape(OUTPUT_ROWS, block)
    taps = offsets[tile.taps : tile.taps + tile.steps * group].reshape(tile.steps, 1, group)
    for number in range(first, min(first + isa.depthwise_pixels, tile.pixels)):
        places = tile.base + offsets[tile.origins + number] + taps + order[:, np.newaxis]
        values = x[places].astype(np.int64) + (128 if isa.vnni else 0)
        products = values * weights.reshape(tile.steps, block, group)
        results = np.empty(block, np.int8)
        results[order] = _interpreted_output(products.sum((0, 2)), stage, tile)
        begin = tile.target + number * tile.pitch
        ofm[begin : begin + min(tile.valid, block)] = results[: tile.valid]


def _interpreted_output(
    sums: NDArray[np.int64], stage: NDArray[np.int32], tile: Tile
) -> NDArray[np.int8]:
    exact = stage.astype(np.int64)
    value = interpreted_rescale(sums + exact[OutputRow.BIAS], exact) + tile.zero_point
    outputs: NDArray[np.int32] = np.clip(value.astype(np.int32), tile.low, tile.high)
    return outputs.astype(np.int8)


# matrix_tile(form, x, offsets, panels, channels, ofm, tile, first): the outputs of the pixels from
#   number `first` on, as many as the (constant) `form` has, see `InstructionSet.tile`. The isa.taps
#   elements from an offset on meet the weights of one step.
# depthwise_tile(x, offsets, panels, channels, ofm, tile, first): isa.taps offsets for each step,
#   and isa.block channels from each on.
matrix_tile: Any = _compiled_matrix_tile
depthwise_tile: Any = _compiled_depthwise_tile
if getattr(config, "DISABLE_JIT", False):
    matrix_tile, depthwise_tile = _interpreted_matrix_tile, _interpreted_depthwise_tile
