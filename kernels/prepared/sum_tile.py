"""The inner loop of ADD and SUB: vectors of both operands to a common scale, and to the output's.

Written as LLVM vector instructions for the same reason as `kernels.prepared.tiles`.
"""

from typing import Any

import numpy as np
from numba import config
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from kernels.prepared import llvm
from kernels.prepared.llvm import I32, Codegen, constant
from kernels.prepared.panels import OUTPUT_ROWS, OutputRow
from kernels.quantization import ADD_LEFT_SHIFT

# values per vector; LLVM splits it where the machine's are shorter
LANES = 16


def _codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    channels, first, second, target = (
        llvm.data(context, builder, signature, arguments, i) for i in (0, 2, 4, 6)
    )
    _, stages, _, a, _, b, _, ofm, vectors, sign, *limits = arguments
    output = llvm.Range(*(builder.trunc(v, I32) for v in limits))
    negative = llvm.splat(builder, builder.trunc(sign, I32), LANES)
    vector = llvm.bytes_of(LANES)

    def row(stage: int, which: OutputRow) -> Any:
        place = builder.add(stages, constant(stage * OUTPUT_ROWS + int(which)))
        return llvm.splat(builder, builder.load(builder.gep(channels, [place])), LANES)

    biases = [row(stage, OutputRow.BIAS) for stage in range(2)]
    scales = [
        llvm.Scales(*(row(stage, r) for r in OutputRow if r != OutputRow.BIAS))
        for stage in range(3)
    ]
    with llvm.loop(builder, vectors, []) as (number, _, _):
        begin = builder.mul(number, constant(LANES))
        terms = []
        for stage, (operand, place) in enumerate(((first, a), (second, b))):
            pointer = builder.gep(operand, [builder.add(place, begin)])
            value = builder.sext(llvm.load(builder, pointer, vector), llvm.ints(LANES))
            value = builder.shl(value, llvm.filled(LANES, ADD_LEFT_SHIFT))
            value = builder.add(value, biases[stage])
            terms.append(llvm.rescale(builder, value, scales[stage]))
        terms[1] = builder.sub(builder.xor(terms[1], negative), negative)
        total = builder.add(*terms)
        result = builder.trunc(llvm.requantize(builder, total, scales[2], output), vector)
        pointer = builder.gep(target, [builder.add(ofm, begin)])
        builder.store(result, builder.bitcast(pointer, vector.as_pointer()), align=1)
    return context.get_dummy_value()


@intrinsic
def _compiled_sum_tile(
    typing: Any,
    channels: Any,
    stages: Any,
    first: Any,
    a: Any,
    second: Any,
    b: Any,
    target: Any,
    ofm: Any,
    vectors: Any,
    sign: Any,
    zero_point: Any,
    low: Any,
    high: Any,
) -> tuple[Any, Codegen]:
    n = types.int64
    arguments = channels, n, first, n, second, n, target, n, n, n, n, n, n
    return types.void(*arguments), _codegen


def _interpreted_sum_tile(
    channels: NDArray[np.int32],
    stages: int,
    first: NDArray[np.int8],
    a: int,
    second: NDArray[np.int8],
    b: int,
    target: NDArray[np.int8],
    ofm: int,
    vectors: int,
    sign: int,
    zero_point: int,
    low: int,
    high: int,
) -> None:
    size = vectors * LANES
    own = channels[stages : stages + 3 * OUTPUT_ROWS].reshape(3, OUTPUT_ROWS).astype(np.int64)
    terms = [
        interpreted_rescale((x[i : i + size].astype(np.int64) << ADD_LEFT_SHIFT) + stage[0], stage)
        for x, i, stage in ((first, a, own[0]), (second, b, own[1]))
    ]
    total = terms[0] + (terms[1] ^ sign) - sign
    value = interpreted_rescale(total, own[2]) + zero_point
    target[ofm : ofm + size] = np.clip(value.astype(np.int32), low, high)


def interpreted_rescale(acc: NDArray[np.int64], stage: NDArray[np.int64]) -> NDArray[np.int64]:
    """`kernels.prepared.llvm.rescale` in NumPy; `stage` is (OUTPUT_ROWS, ...), int64."""
    _, left, multiplier, nudge, sign, right, half = stage
    value = (((acc << left).astype(np.int32)).astype(np.int64) * multiplier + nudge) >> 31
    value += np.where(value < 0, sign, 0)
    rescaled: NDArray[np.int64] = ((value >> right) + half) >> half
    return rescaled


# sum_tile(channels, stages, first, a, second, b, target, ofm, vectors, sign, zero_point,
#          low, high):
#   target[ofm + i] = requantized first[a + i] + second[b + i], or, where `sign` is -1 and not 0,
#   their difference, for as many i as `vectors` vectors have LANES. The three output stages, one
#   value to a row, begin at `stages`: of both operands (`BIAS` being their zero point, negative and
#   shifted left) and of the output.
sum_tile: Any = _compiled_sum_tile
if getattr(config, "DISABLE_JIT", False):
    sum_tile = _interpreted_sum_tile
