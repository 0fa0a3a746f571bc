"""The inner loops of the convolutions: a block of accumulators that stays in registers.

Written as LLVM vector instructions because the compiler does not keep such a block in registers by
itself. They are generic instructions: LLVM lowers them to what the machine has.

Products of int8 are summed in float32, which is exact as long as the sum stays within 2**24, that
is for `EXACT_TAPS` products; each call adds its exact sum to int32 accumulators.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import config
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

# int8 products are at most 2**14 in size, and float32 has every integer up to 2**24
EXACT_TAPS = 1024
# float32 values per vector; LLVM splits it where the machine's are shorter
LANES = 16
# (pixels, vectors of outputs): enough independent sums to hide the latency of an addition
WIDE = (4, 2)
NARROW = (8, 1)
DEPTHWISE_PIXELS = 8

I32, I64, F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
FLOATS, INTEGERS = ir.VectorType(F32, LANES), ir.VectorType(I32, LANES)

Codegen = Callable[[Any, Any, Any, Any], Any]


def _load(builder: Any, pointer: Any, vector: Any) -> Any:
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=4)


def _splat(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(FLOATS, ir.Undefined)
    lane0 = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(lane0, undefined, ir.Constant(INTEGERS, [0] * LANES))


def _data(context: Any, builder: Any, signature: Any, arguments: Any, index: int) -> Any:
    array = context.make_array(signature.args[index])
    return array(context, builder, arguments[index]).data


def _tap_loop(
    builder: Any, count: Any, sums: int, products: Callable[[Any], list[tuple[Any, Any]]], acc: Any
) -> None:
    """`acc[i] += sum over taps of a[i] * b[i]`, the vectors (a, b) coming from `products(tap)`."""
    before = builder.block
    loop = builder.append_basic_block("taps")
    after = builder.append_basic_block("done")
    builder.branch(loop)

    builder.position_at_end(loop)
    tap = builder.phi(I64)
    tap.add_incoming(ir.Constant(I64, 0), before)
    totals = [builder.phi(FLOATS) for _ in range(sums)]
    following = []
    for total, (a, b) in zip(totals, products(tap), strict=True):
        product = builder.fmul(a, b, flags=["contract"])
        following.append(builder.fadd(total, product, flags=["contract"]))
        total.add_incoming(ir.Constant(FLOATS, [0.0] * LANES), before)
        total.add_incoming(following[-1], loop)
    next_tap = builder.add(tap, ir.Constant(I64, 1))
    tap.add_incoming(next_tap, loop)
    builder.cbranch(builder.icmp_signed("<", next_tap, count), loop, after)

    builder.position_at_end(after)
    for index, total in enumerate(following):
        target = builder.gep(acc, [ir.Constant(I64, index * LANES)])
        updated = builder.add(_load(builder, target, INTEGERS), builder.fptosi(total, INTEGERS))
        builder.store(updated, builder.bitcast(target, INTEGERS.as_pointer()), align=4)


def _matrix_codegen(pixels: int, vectors: int) -> Codegen:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, origins, panel, acc = (
            _data(context, builder, signature, arguments, i) for i in (0, 1, 3, 6)
        )
        _, _, base, _, start, count, _ = arguments
        first = builder.gep(x, [base])
        sources = [
            builder.gep(first, [builder.load(builder.gep(origins, [ir.Constant(I64, p)]))])
            for p in range(pixels)
        ]
        width = ir.Constant(I64, LANES * vectors)
        weights = builder.gep(panel, [builder.mul(start, width)])

        def products(tap: Any) -> list[tuple[Any, Any]]:
            line = builder.gep(weights, [builder.mul(tap, width)])
            w = [
                _load(builder, builder.gep(line, [ir.Constant(I64, v * LANES)]), FLOATS)
                for v in range(vectors)
            ]
            values = [
                _splat(builder, builder.load(builder.gep(source, [tap]))) for source in sources
            ]
            return [(value, w[v]) for value in values for v in range(vectors)]

        _tap_loop(builder, count, pixels * vectors, products, acc)
        return context.get_dummy_value()

    return codegen


def _depthwise_codegen(pixels: int) -> Codegen:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, origins, offsets, panel, acc = (
            _data(context, builder, signature, arguments, i) for i in (0, 1, 3, 4, 7)
        )
        _, _, base, _, _, start, count, _ = arguments
        first = builder.gep(x, [base])
        sources = [
            builder.gep(first, [builder.load(builder.gep(origins, [ir.Constant(I64, p)]))])
            for p in range(pixels)
        ]
        own_offsets = builder.gep(offsets, [start])
        weights = builder.gep(panel, [builder.mul(start, ir.Constant(I64, LANES))])

        def products(tap: Any) -> list[tuple[Any, Any]]:
            offset = builder.load(builder.gep(own_offsets, [tap]))
            line = builder.gep(weights, [builder.mul(tap, ir.Constant(I64, LANES))])
            w = _load(builder, line, FLOATS)
            return [
                (_load(builder, builder.gep(source, [offset]), FLOATS), w) for source in sources
            ]

        _tap_loop(builder, count, pixels, products, acc)
        return context.get_dummy_value()

    return codegen


def _compiled_matrix_tile(shape: tuple[int, int]) -> Any:
    code = _matrix_codegen(*shape)

    def tile(
        typing: Any, x: Any, origins: Any, base: Any, panel: Any, start: Any, count: Any, acc: Any
    ) -> tuple[Any, Codegen]:
        return types.void(x, origins, types.int64, panel, types.int64, types.int64, acc), code

    return intrinsic(tile)


def _compiled_depthwise_tile() -> Any:
    code = _depthwise_codegen(DEPTHWISE_PIXELS)

    def tile(
        typing: Any,
        x: Any,
        origins: Any,
        base: Any,
        offsets: Any,
        panel: Any,
        start: Any,
        count: Any,
        acc: Any,
    ) -> tuple[Any, Codegen]:
        scalar = types.int64
        return types.void(x, origins, scalar, offsets, panel, scalar, scalar, acc), code

    return intrinsic(tile)


def _interpreted_matrix_tile(
    x: NDArray[np.float32],
    origins: NDArray[np.int64],
    base: int,
    panel: NDArray[np.float32],
    start: int,
    count: int,
    acc: NDArray[np.int32],
) -> None:
    pixels, outputs = acc.shape
    weights = panel[start * outputs : (start + count) * outputs].reshape(count, outputs)
    for p in range(pixels):
        first = base + origins[p]
        acc[p] += (x[first : first + count] @ weights).astype(np.int32)


def _interpreted_depthwise_tile(
    x: NDArray[np.float32],
    origins: NDArray[np.int64],
    base: int,
    offsets: NDArray[np.int64],
    panel: NDArray[np.float32],
    start: int,
    count: int,
    acc: NDArray[np.int32],
) -> None:
    pixels, lanes = acc.shape
    weights = panel.reshape(-1, lanes)
    for p in range(pixels):
        for t in range(start, start + count):
            first = base + origins[p] + offsets[t]
            acc[p] += (x[first : first + lanes] * weights[t]).astype(np.int32)


# All arrays C-contiguous, `acc` int32 of (pixels, outputs), `origins` of at least `pixels` values.
#
# wide_tile, narrow_tile(x, origins, base, panel, start, count, acc), panel (taps, outputs):
#   acc[p, k] += sum over t < count of x[base + origins[p] + t] * panel[start + t, k]
# depthwise_tile(x, origins, base, offsets, panel, start, count, acc), panel (taps, LANES):
#   acc[p, k] += sum over start <= t < start + count of
#                x[base + origins[p] + offsets[t] + k] * panel[t, k]
if getattr(config, "DISABLE_JIT", False):
    wide_tile = narrow_tile = _interpreted_matrix_tile
    depthwise_tile = _interpreted_depthwise_tile
else:
    wide_tile, narrow_tile = _compiled_matrix_tile(WIDE), _compiled_matrix_tile(NARROW)
    depthwise_tile = _compiled_depthwise_tile()
