"""The inner loop of the matrix products: a tile of IFM vectors times a panel of weights.

Written as LLVM vector instructions because the compiler does not keep a block of accumulators in
registers by itself. They are generic instructions: LLVM lowers them to what the machine has.

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
# float32 values per vector; two vectors of it on machines with half the width
LANES = 16
# (IFM vectors, vectors of outputs): enough independent sums to hide the latency of an addition
WIDE = (4, 2)
NARROW = (8, 1)

Codegen = Callable[[Any, Any, Any, Any], Any]


def _tile_codegen(rows: int, vectors: int) -> Codegen:
    """LLVM code for `rows` IFM vectors and `vectors * LANES` outputs; see `wide_tile`."""
    i32, i64, f32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
    floats, integers = ir.VectorType(f32, LANES), ir.VectorType(i32, LANES)
    first = ir.Constant(i32, 0)

    def load(builder: Any, pointer: Any, vector: ir.VectorType) -> Any:
        return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=4)

    def splat(builder: Any, value: Any) -> Any:
        undefined = ir.Constant(floats, ir.Undefined)
        lane0 = builder.insert_element(undefined, value, first)
        return builder.shuffle_vector(lane0, undefined, ir.Constant(integers, [0] * LANES))

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, base, _, start, count, _ = arguments

        def data(index: int) -> Any:
            array = context.make_array(signature.args[index])
            return array(context, builder, arguments[index]).data

        origin = builder.gep(data(0), [base])
        sources = [
            builder.gep(origin, [builder.load(builder.gep(data(1), [ir.Constant(i64, r)]))])
            for r in range(rows)
        ]
        weights = builder.gep(data(3), [builder.mul(start, ir.Constant(i64, LANES * vectors))])
        before = builder.block
        loop = builder.append_basic_block("taps")
        after = builder.append_basic_block("done")
        builder.branch(loop)

        builder.position_at_end(loop)
        tap = builder.phi(i64)
        totals = [builder.phi(floats) for _ in range(rows * vectors)]
        tap.add_incoming(ir.Constant(i64, 0), before)
        line = builder.mul(tap, ir.Constant(i64, LANES * vectors))
        w = [
            load(
                builder,
                builder.gep(weights, [builder.add(line, ir.Constant(i64, v * LANES))]),
                floats,
            )
            for v in range(vectors)
        ]
        sums = []
        for r in range(rows):
            value = splat(builder, builder.load(builder.gep(sources[r], [tap])))
            for v in range(vectors):
                total = totals[r * vectors + v]
                product = builder.fmul(value, w[v], flags=["contract"])
                sums.append(builder.fadd(total, product, flags=["contract"]))
                total.add_incoming(ir.Constant(floats, [0.0] * LANES), before)
                total.add_incoming(sums[-1], loop)
        next_tap = builder.add(tap, ir.Constant(i64, 1))
        tap.add_incoming(next_tap, loop)
        builder.cbranch(builder.icmp_signed("<", next_tap, count), loop, after)

        builder.position_at_end(after)
        for index, total in enumerate(sums):
            target = builder.gep(data(6), [ir.Constant(i64, index * LANES)])
            updated = builder.add(load(builder, target, integers), builder.fptosi(total, integers))
            builder.store(updated, builder.bitcast(target, integers.as_pointer()), align=4)
        return context.get_dummy_value()

    return codegen


def _compiled_tile(shape: tuple[int, int]) -> Any:
    code = _tile_codegen(*shape)

    def tile(
        typing: Any, x: Any, offsets: Any, base: Any, panel: Any, start: Any, count: Any, acc: Any
    ) -> tuple[Any, Codegen]:
        return types.void(x, offsets, types.int64, panel, types.int64, types.int64, acc), code

    return intrinsic(tile)


def _interpreted_tile(
    x: NDArray[np.float32],
    offsets: NDArray[np.int64],
    base: int,
    panel: NDArray[np.float32],
    start: int,
    count: int,
    acc: NDArray[np.int32],
) -> None:
    rows, outputs = acc.shape
    weights = panel.reshape(-1, outputs)[start : start + count]
    for r in range(rows):
        first = base + offsets[r]
        acc[r] += (x[first : first + count] @ weights).astype(np.int32)


# tile(x, offsets, base, panel, start, count, acc), all arrays C-contiguous:
# acc[r, k] += sum over t < count of x[base + offsets[r] + t] * panel[start + t, k]
if config.DISABLE_JIT:  # type: ignore[attr-defined]
    wide_tile = narrow_tile = _interpreted_tile
else:
    wide_tile, narrow_tile = _compiled_tile(WIDE), _compiled_tile(NARROW)
