"""The inner loops of the convolutions: tiles of accumulators that stay in registers.

Written as LLVM vector instructions because the compiler does not keep such tiles in registers, and
does not find dot products of bytes, by itself. A tile begins with the bias, sums all taps, and
stores its outputs requantized, so that no accumulator ever reaches memory.
"""

from typing import Any

import numpy as np
from numba import config
from numba.core import types
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype
from numpy.typing import NDArray

from kernels import emit
from kernels.emit import I32, I64, Codegen, constant
from kernels.isa import Isa, tagged
from kernels.panels import OUTPUT_ROWS, OutputRow, depthwise_order
from kernels.sum_tile import interpreted_rescale


def _pixels(
    builder: Any, offsets: Any, origins: Any, first: Any, count: Any, pixels: int
) -> tuple[list[Any], list[Any]]:
    """(Numbers, origins) of `pixels` pixels from `first` on; the last pixel stands in for more."""
    last = builder.sub(count, constant(1))
    numbers, places = [], []
    for p in range(pixels):
        number = builder.add(first, constant(p))
        inside = builder.icmp_signed("<", number, last)
        numbers.append(builder.select(inside, number, last))
        entry = builder.gep(offsets, [builder.add(origins, numbers[-1])])
        places.append(builder.sext(builder.load(entry), I64))
    return numbers, places


def _offset(builder: Any, offsets: Any, position: Any) -> Any:
    return builder.sext(builder.load(builder.gep(offsets, [position])), I64)


def _rows(builder: Any, isa: Isa, channels: Any, position: Any, width: int, lanes: int) -> Any:
    """A function from (row of the output stage, vector number) to the vector."""
    first = builder.gep(channels, [position])

    def row(which: OutputRow, vector: int) -> Any:
        place = constant(int(which) * width + vector * lanes)
        return emit.load(builder, builder.gep(first, [place]), emit.ints(lanes))

    return row


def _scales(row: Any, vector: int) -> emit.Scales:
    return emit.Scales(*(row(which, vector) for which in OutputRow if which != OutputRow.BIAS))


def _matrix_codegen(isa: Isa, pixels: int, vectors: int) -> Codegen:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, offsets, panels, channels, ofm = (
            emit.data(context, builder, signature, arguments, i) for i in (1, 3, 7, 9, 11)
        )
        _, _, base, _, taps, steps, origins, _, panel, _, channel = arguments[:11]
        _, target, first, count, pitch, valid, *limits = arguments[11:]
        output = emit.Range(*(builder.trunc(v, I32) for v in limits))
        width = isa.lanes * vectors
        vector = emit.ints(isa.lanes)
        numbers, places = _pixels(builder, offsets, origins, first, count, pixels)
        sources = [builder.gep(x, [builder.add(base, place)]) for place in places]
        weights = builder.gep(panels, [panel])
        row = _rows(builder, isa, channels, channel, width, isa.lanes)
        biases = [row(OutputRow.BIAS, v) for v in range(vectors)]
        signs = emit.sign_bits(builder, isa.lanes) if isa.vnni else None
        with emit.loop(builder, steps, biases * pixels) as (step, sums, following):
            offset = _offset(builder, offsets, builder.add(taps, step))
            line = builder.gep(weights, [builder.mul(step, constant(width * isa.taps))])
            w = [
                emit.load(builder, builder.gep(line, [constant(v * isa.lanes * isa.taps)]), vector)
                for v in range(vectors)
            ]
            for p in range(pixels):
                pointer = builder.bitcast(builder.gep(sources[p], [offset]), I32.as_pointer())
                values = emit.splat(builder, builder.load(pointer, align=1), isa.lanes)
                if isa.vnni:
                    values = builder.xor(values, signs)
                for v in range(vectors):
                    acc = sums[p * vectors + v]
                    following.append(emit.dot(builder, isa, acc, values, w[v]))
        for v in range(vectors):
            scales = _scales(row, v)
            rest = builder.sub(valid, constant(v * isa.lanes))
            for p in range(pixels):
                place = builder.add(target, builder.mul(numbers[p], pitch))
                place = builder.add(place, constant(v * isa.lanes))
                value = emit.requantize(builder, following[p * vectors + v], scales, output)
                value = builder.trunc(value, emit.bytes_of(isa.lanes))
                emit.store_part(builder, value, builder.gep(ofm, [place]), rest)
        return context.get_dummy_value()

    return codegen


def _depthwise_codegen(isa: Isa) -> Codegen:
    pixels, lanes, group = isa.depthwise_pixels, isa.depthwise_lanes, isa.taps

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, offsets, panels, channels, ofm = (
            emit.data(context, builder, signature, arguments, i) for i in (0, 2, 6, 8, 10)
        )
        _, base, _, taps, steps, origins, _, panel, _, channel = arguments[:10]
        _, target, first, count, pitch, valid, *limits = arguments[10:]
        output = emit.Range(*(builder.trunc(v, I32) for v in limits))
        vector = emit.ints(lanes)
        numbers, places = _pixels(builder, offsets, origins, first, count, pixels)
        sources = [builder.gep(x, [builder.add(base, place)]) for place in places]
        weights = builder.gep(panels, [panel])
        row = _rows(builder, isa, channels, channel, isa.block, lanes)
        biases = [row(OutputRow.BIAS, v) for v in range(group)]
        signs = emit.sign_bits(builder, lanes) if isa.vnni else None
        with emit.loop(builder, steps, biases * pixels) as (step, sums, following):
            entry = builder.add(taps, builder.mul(step, constant(group)))
            near = [
                _offset(builder, offsets, builder.add(entry, constant(t))) for t in range(group)
            ]
            line = builder.gep(weights, [builder.mul(step, constant(isa.block * group))])
            w = [
                emit.load(builder, builder.gep(line, [constant(j * lanes * group)]), vector)
                for j in range(group)
            ]
            for p in range(pixels):
                values = [
                    emit.load(builder, builder.gep(sources[p], [offset]), vector) for offset in near
                ]
                if isa.vnni:
                    values = [builder.xor(value, signs) for value in values]
                for j, value in enumerate(emit.interleave(builder, isa, values)):
                    acc = sums[p * group + j]
                    following.append(emit.dot(builder, isa, acc, value, w[j]))
        all_scales = [_scales(row, j) for j in range(group)]
        for p in range(pixels):
            results = [
                emit.requantize(builder, following[p * group + j], all_scales[j], output)
                for j in range(group)
            ]
            place = builder.add(target, builder.mul(numbers[p], pitch))
            packed = emit.pack(builder, isa, results)
            emit.store_part(builder, packed, builder.gep(ofm, [place]), valid)
        return context.get_dummy_value()

    return codegen


@intrinsic(prefer_literal=True)
def _compiled_matrix_tile(
    typing: Any,
    form: Any,
    x: Any,
    base: Any,
    offsets: Any,
    taps: Any,
    steps: Any,
    origins: Any,
    panels: Any,
    panel: Any,
    channels: Any,
    channel: Any,
    ofm: Any,
    target: Any,
    first: Any,
    count: Any,
    pitch: Any,
    valid: Any,
    zero_point: Any,
    low: Any,
    high: Any,
) -> tuple[Any, Codegen]:
    isa, n = tagged(as_dtype(panels.dtype)), types.int64
    shape = isa.forms[min(form.literal_value, len(isa.forms) - 1)]
    arrays = offsets, n, n, n, panels, n, channels, n, ofm, n, n, n, n, n, n, n, n
    return types.void(form, x, n, *arrays), _matrix_codegen(isa, *shape)


@intrinsic
def _compiled_depthwise_tile(
    typing: Any,
    x: Any,
    base: Any,
    offsets: Any,
    taps: Any,
    steps: Any,
    origins: Any,
    panels: Any,
    panel: Any,
    channels: Any,
    channel: Any,
    ofm: Any,
    target: Any,
    first: Any,
    count: Any,
    pitch: Any,
    valid: Any,
    zero_point: Any,
    low: Any,
    high: Any,
) -> tuple[Any, Codegen]:
    isa, n = tagged(as_dtype(panels.dtype)), types.int64
    arrays = offsets, n, n, n, panels, n, channels, n, ofm, n, n, n, n, n, n, n, n
    return types.void(x, n, *arrays), _depthwise_codegen(isa)


def _interpreted_matrix_tile(
    form: int,
    x: NDArray[np.int8],
    base: int,
    offsets: NDArray[np.int32],
    taps: int,
    steps: int,
    origins: int,
    panels: NDArray[np.generic],
    panel: int,
    channels: NDArray[np.int32],
    channel: int,
    ofm: NDArray[np.int8],
    target: int,
    first: int,
    count: int,
    pitch: int,
    valid: int,
    zero_point: int,
    low: int,
    high: int,
) -> None:
    isa = tagged(panels.dtype)
    pixels, vectors = isa.forms[min(form, len(isa.forms) - 1)]
    width, group = isa.lanes * vectors, isa.taps
    weights = panels[panel : panel + steps * width * group].view(isa.element)
    stage = channels[channel : channel + OUTPUT_ROWS * width].reshape(OUTPUT_ROWS, width)
    places = base + offsets[taps : taps + steps, np.newaxis] + np.arange(group)
    for number in range(first, min(first + pixels, count)):
        values = x[offsets[origins + number] + places].astype(np.int64) + (128 if isa.vnni else 0)
        products = values[:, np.newaxis, :] * weights.reshape(steps, width, group)
        results = _interpreted_output(products.sum((0, 2)), stage, zero_point, low, high)
        begin = target + number * pitch
        ofm[begin : begin + min(valid, width)] = results[:valid]


def _interpreted_depthwise_tile(
    x: NDArray[np.int8],
    base: int,
    offsets: NDArray[np.int32],
    taps: int,
    steps: int,
    origins: int,
    panels: NDArray[np.generic],
    panel: int,
    channels: NDArray[np.int32],
    channel: int,
    ofm: NDArray[np.int8],
    target: int,
    first: int,
    count: int,
    pitch: int,
    valid: int,
    zero_point: int,
    low: int,
    high: int,
) -> None:
    isa = tagged(panels.dtype)
    block, group = isa.block, isa.taps
    order = depthwise_order(isa)
    weights = panels[panel : panel + steps * block * group].view(isa.element)
    stage = channels[channel : channel + OUTPUT_ROWS * block].reshape(OUTPUT_ROWS, block)
    places = base + offsets[taps : taps + steps * group].reshape(steps, 1, group)
    for number in range(first, min(first + isa.depthwise_pixels, count)):
        values = x[offsets[origins + number] + places + order[:, np.newaxis]].astype(np.int64)
        products = (values + (128 if isa.vnni else 0)) * weights.reshape(steps, block, group)
        results = np.empty(block, np.int8)
        results[order] = _interpreted_output(products.sum((0, 2)), stage, zero_point, low, high)
        begin = target + number * pitch
        ofm[begin : begin + min(valid, block)] = results[:valid]


def _interpreted_output(
    sums: NDArray[np.int64], stage: NDArray[np.int32], zero_point: int, low: int, high: int
) -> NDArray[np.int8]:
    exact = stage.astype(np.int64)
    value = interpreted_rescale(sums + exact[OutputRow.BIAS], exact)
    outputs: NDArray[np.int8] = np.clip((value + zero_point).astype(np.int32), low, high)
    return outputs.astype(np.int8)


# Both tiles read `x` at `base + origin of a pixel + offset of a tap`, in elements; `offsets` holds
# the `steps` offsets of the taps from `taps` on and the origins from `origins` on. The packed
# weights begin at `panel`, the output stage at `channel` (see `kernels.panels`). Pixel number p of
# `count` is written to `ofm[target + p * pitch]` on, `valid` channels of it at most; a tile begins
# at pixel `first`, and has fewer pixels at the end.
#
# matrix_tile: the isa.taps elements from an offset on meet the weights of one step; `form` is the
#   (constant) index in isa.forms, where the last stands in for those behind it.
# depthwise_tile: isa.taps offsets for each step, and isa.block channels from each on.
matrix_tile: Any = _compiled_matrix_tile
depthwise_tile: Any = _compiled_depthwise_tile
if getattr(config, "DISABLE_JIT", False):
    matrix_tile, depthwise_tile = _interpreted_matrix_tile, _interpreted_depthwise_tile
