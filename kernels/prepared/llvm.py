"""LLVM vector instructions that the tiles are made of.

Generic instructions where LLVM finds the machine's own, and the machine's where it does not: dot
products of small integers, and packing with saturation.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from llvmlite import ir  # type: ignore[import-untyped]

from kernels.prepared.instruction_sets import InstructionSet

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))

Codegen = Callable[[Any, Any, Any, Any], Any]


class Scales(NamedTuple):
    """Vectors of `OutputRow`, the bias apart; see `requantize`."""

    left: Any
    multiplier: Any
    nudge: Any
    sign: Any
    right: Any
    half: Any


class Range(NamedTuple):
    """Zero point and clamping range of an output, int32 scalars."""

    zero_point: Any
    low: Any
    high: Any


def ints(count: int) -> Any:
    """The type of a vector of int32."""
    return ir.VectorType(I32, count)


def constant(value: int) -> Any:
    """An int64 constant."""
    return ir.Constant(I64, value)


def data(context: Any, builder: Any, signature: Any, arguments: Any, index: int) -> Any:
    """The address of the first element of an array argument."""
    array = context.make_array(signature.args[index])
    return array(context, builder, arguments[index]).data


def load(builder: Any, pointer: Any, vector: Any) -> Any:
    """A vector from any address."""
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=1)


def splat(builder: Any, value: Any, count: int) -> Any:
    """A vector of `count` copies."""
    vector = ir.VectorType(value.type, count)
    undefined = ir.Constant(vector, ir.Undefined)
    lane0 = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(lane0, undefined, ir.Constant(ints(count), [0] * count))


def bytes_of(count: int) -> Any:
    """The type of a vector of int8."""
    return ir.VectorType(I8, count)


def filled(count: int, value: int) -> Any:
    """A constant vector of int32."""
    return ir.Constant(ints(count), [value] * count)


def shuffle(builder: Any, a: Any, b: Any, indices: Sequence[int]) -> Any:
    """Elements of `a`, then `b`, by number."""
    return builder.shuffle_vector(a, b, ir.Constant(ints(len(indices)), list(indices)))


def call(builder: Any, name: str, result: Any, arguments: Sequence[Any]) -> Any:
    """A call of one of LLVM's intrinsics."""
    signature = ir.FunctionType(result, [argument.type for argument in arguments])
    function = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    return builder.call(function, arguments)


@contextmanager
def loop(
    builder: Any, count: Any, initial: Sequence[Any]
) -> Iterator[tuple[Any, list[Any], list[Any]]]:
    """A loop that runs `count` times, at least once: (index, values carried, list to fill).

    The body appends the next values to the list; after the loop it holds the last ones.
    """
    before = builder.block
    body = builder.append_basic_block("body")
    after = builder.append_basic_block("after")
    builder.branch(body)
    builder.position_at_end(body)
    index = builder.phi(I64)
    index.add_incoming(constant(0), before)
    carried = [builder.phi(value.type) for value in initial]
    for phi, value in zip(carried, initial, strict=True):
        phi.add_incoming(value, before)
    following: list[Any] = []
    yield index, carried, following
    successor = builder.add(index, constant(1))
    index.add_incoming(successor, builder.block)
    for phi, value in zip(carried, following, strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", successor, count), body, after)
    builder.position_at_end(after)


def sign_bits(builder: Any, lanes: int) -> Any:
    """The sign bit of every byte, for x86; what `xor`s signed bytes to unsigned ones, 128 higher.

    Opaque to LLVM: where it sees the constant it moves the `xor` to the other side of a shuffle and
    back again, endlessly (LLVM 22).
    """
    signs = filled(lanes, 0x80808080 - (1 << 32))
    constraint = "=v,0" if lanes > 8 else "=x,0"
    return builder.asm(ir.FunctionType(signs.type, [signs.type]), "", constraint, [signs], False)


def dot(builder: Any, isa: InstructionSet, acc: Any, x: Any, weights: Any) -> Any:
    """`acc` (int32) plus, per lane, the sum of `isa.taps` products; `x` and `weights` as int32.

    With VNNI the bytes of `x` are unsigned.
    """
    lanes = acc.type.count
    bits = 32 * lanes
    if isa.vnni:
        return call(builder, f"llvm.x86.avx512.vpdpbusd.{bits}", acc.type, [acc, x, weights])
    pairs = ir.VectorType(I16, 2 * lanes)
    a, b = builder.bitcast(x, pairs), builder.bitcast(weights, pairs)
    if isa.features:
        return builder.add(acc, call(builder, "llvm.x86.avx2.pmadd.wd", acc.type, [a, b]))
    for start in (0, 1):
        factors = [
            builder.sext(shuffle(builder, v, v, range(start, 2 * lanes, 2)), acc.type)
            for v in (a, b)
        ]
        acc = builder.add(acc, builder.mul(*factors))
    return acc


def interleave(builder: Any, isa: InstructionSet, taps: Sequence[Any]) -> list[Any]:
    """The elements of `isa.taps` vectors side by side: as many vectors of int32.

    Within each 16 bytes only, which is what the machine's instructions do: lane `4 * l + i` of
    vector j holds all taps of channel `4 * isa.taps * l + 4 * j + i`.
    """
    if not isa.vnni:
        return _unpack(builder, isa.depthwise_lanes, I16, taps[0], taps[1])
    pairs = [_unpack(builder, isa.depthwise_lanes, I8, *taps[i : i + 2]) for i in (0, 2)]
    return [
        vector
        for a, b in zip(*pairs, strict=True)
        for vector in _unpack(builder, isa.depthwise_lanes, I16, a, b)
    ]


def _unpack(builder: Any, lanes: int, element: Any, a: Any, b: Any) -> list[Any]:
    """Elements of `a` and `b` in turn: of the lower, and of the upper half of every 16 bytes."""
    count, group = 32 * lanes // element.width, 128 // element.width
    vector = ir.VectorType(element, count)
    a, b = builder.bitcast(a, vector), builder.bitcast(b, vector)
    return [
        builder.bitcast(
            shuffle(
                builder,
                a,
                b,
                [
                    source + lane + start + i
                    for lane in range(0, count, group)
                    for i in range(group // 2)
                    for source in (0, count)
                ],
            ),
            ints(lanes),
        )
        for start in (0, group // 2)
    ]


def rescale(builder: Any, acc: Any, scales: Scales) -> Any:
    """A vector of accumulators times the multipliers of `scales`.

    See `kernels.prepared.panels.OutputRow` for the three roundings in one formula.
    """
    lanes = acc.type.count
    longs = ir.VectorType(I64, lanes // 2)
    x = builder.bitcast(builder.shl(acc, scales.left), longs)
    m, nudge = (builder.bitcast(v, longs) for v in (scales.multiplier, scales.nudge))
    thirty_two = ir.Constant(longs, [32] * (lanes // 2))
    low_half = ir.Constant(longs, [0xFFFFFFFF] * (lanes // 2))

    # even and odd lanes apart: LLVM sees that 32 bits of each factor count, and multiplies those
    even_x, even_m = (builder.ashr(builder.shl(v, thirty_two), thirty_two) for v in (x, m))
    odd_x, odd_m = (builder.ashr(v, thirty_two) for v in (x, m))
    even = builder.add(builder.mul(even_x, even_m), builder.and_(nudge, low_half))
    odd = builder.add(builder.mul(odd_x, odd_m), builder.lshr(nudge, thirty_two))
    even = builder.lshr(even, ir.Constant(longs, [31] * (lanes // 2)))
    odd = builder.shl(odd, ir.Constant(longs, [1] * (lanes // 2)))
    alternate = [i + lanes * (i % 2) for i in range(lanes)]
    even, odd = (builder.bitcast(v, acc.type) for v in (even, odd))
    value = shuffle(builder, even, odd, alternate)
    negative = builder.ashr(value, filled(lanes, 31))
    value = builder.add(value, builder.and_(negative, scales.sign))
    value = builder.add(builder.ashr(value, scales.right), scales.half)
    return builder.ashr(value, scales.half)


def requantize(builder: Any, acc: Any, scales: Scales, output: Range) -> Any:
    """A vector of accumulators to int32 within the output's range."""
    lanes = acc.type.count
    value = rescale(builder, acc, scales)
    value = builder.add(value, splat(builder, output.zero_point, lanes))
    for predicate, limit in (("<", output.low), (">", output.high)):
        bound = splat(builder, limit, lanes)
        value = builder.select(builder.icmp_signed(predicate, value, bound), bound, value)
    return value


def pack(builder: Any, isa: InstructionSet, parts: Sequence[Any]) -> Any:
    """The inverse of `interleave` on results in the range of int8: one vector of int8."""
    lanes = parts[0].type.count
    if isa.features and lanes == 8:
        words = ir.VectorType(I16, 16)
        halves = [
            call(builder, "llvm.x86.avx2.packssdw", words, parts[i : i + 2])
            for i in range(0, len(parts), 2)
        ]
        if len(halves) == 2:
            return call(builder, "llvm.x86.avx2.packsswb", bytes_of(32), halves)
        return builder.trunc(halves[0], bytes_of(16))
    joined = shuffle(builder, parts[0], parts[1], range(2 * lanes))
    order = [
        j * lanes + 4 * lane + i for lane in range(lanes // 4) for j in range(2) for i in range(4)
    ]
    return builder.trunc(shuffle(builder, joined, joined, order), bytes_of(2 * lanes))


def store_part(builder: Any, value: Any, pointer: Any, valid: Any) -> None:
    """Store the first `valid` (int64) bytes of a vector of int8, or all when it has fewer."""
    count = value.type.count
    target = builder.bitcast(pointer, value.type.as_pointer())
    whole = builder.icmp_signed(">=", valid, constant(count))
    with builder.if_else(whole, likely=True) as (then, otherwise):
        with then:
            builder.store(value, target, align=1)
        with otherwise:
            numbers = ir.Constant(ints(count), list(range(count)))
            limit = splat(builder, builder.trunc(valid, I32), count)
            mask = builder.icmp_signed("<", numbers, limit)
            name = f"llvm.masked.store.v{count}i8.p0"
            call(builder, name, ir.VoidType(), [value, target, ir.Constant(I32, 1), mask])
