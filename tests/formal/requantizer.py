"""The requantizer is its definition, over all values: three lemmas, and an axiom.

Lemma 1: what enters the multiplier is `int32(x << ls) >> ls`. Axiom: a 32x31 multiplier multiplies
(its parts are the target's cells, or Python's `*`; `tests/rtl/test_requantizer.py` tests their
sum). Lemma 2: from any product on, `rescaled` is what rounding and shifting make of it. Lemma 3:
`output` is `rescaled` with the zero point, clamped.
"""

from functools import partial
from typing import Any

from amaranth.hdl import Mux, Signal, signed

from rtl.config import ROUNDINGS
from rtl.isa import MAX_LEFT_SHIFT
from rtl.requantizer import LOW_BITS, RESULT_BITS, Requantizer
from tests.formal.proof import Assert, Assume, Bench, Proof, past

PRODUCT_BITS = 45
SMALLEST, LARGEST = -(1 << 31) * ((1 << 31) - 1) >> LOW_BITS, ((1 << 31) - 1) ** 2 >> LOW_BITS
"""Of products, without their lowest bits."""

AT_OPERAND, AT_PRODUCT = 3, 6
AT_RESCALED, AT_OUTPUT = Requantizer.RESCALED_LATENCY, Requantizer.LATENCY
"""Cycles after the inputs."""


def _bench(rounding: str) -> tuple[Bench, Requantizer]:
    """A lane that works in every cycle."""
    bench = Bench()
    bench.m.submodules.dut = dut = Requantizer(rounding)
    bench.m.d.comb += dut.stages.eq(-1)
    return bench, dut


def _delayed(bench: Bench, value: Any, cycles: int, name: str) -> Any:
    for number in range(cycles):
        value = past(bench, value, f"{name}{number}")
    return value


def wrapped() -> Bench:
    """Lemma 1."""
    bench, dut = _bench("double")
    m = bench.m
    shift = bench.free(signed(8), "shift")
    m.d.comb += dut.shift.eq(shift)
    bench.drive(dut.value, dut.bias)
    low = bench.probe("low_low.operand_a", LOW_BITS)
    high = bench.probe("high_low.operand_a", 32 - LOW_BITS)
    value = _delayed(bench, dut.value, AT_OPERAND, "value")
    bias = _delayed(bench, dut.bias, AT_OPERAND, "bias")
    left = _delayed(bench, shift, AT_OPERAND, "left")
    total = Signal(signed(32))
    expected = Signal(signed(32))
    m.d.comb += total.eq((value + bias) >> 1)
    with m.Switch(left):
        for places in range(1, MAX_LEFT_SHIFT + 1):
            with m.Case(places):
                kept = total[: 32 - places].as_signed()
                m.d.comb += expected.eq(kept)
        with m.Default():
            m.d.comb += expected.eq(total)
    begun = _delayed(bench, Signal(init=1), AT_OPERAND, "begun")
    with m.If(begun & (left >= -31) & (left <= MAX_LEFT_SHIFT)):
        m.d.comb += [Assert(low == expected[:LOW_BITS]), Assert(high == expected[LOW_BITS:])]
    return bench


def rescaled(rounding: str) -> Bench:
    """Lemma 2."""
    bench, dut = _bench(rounding)
    m = bench.m
    shift = bench.free(signed(8), "shift")
    m.d.comb += dut.shift.eq(shift)
    product = bench.cut("product", signed(PRODUCT_BITS))
    m.d.comb += Assume((product >= SMALLEST) & (product <= LARGEST))
    behind = AT_RESCALED - AT_PRODUCT
    before = _delayed(bench, product, behind, "product")
    places = _delayed(bench, shift, AT_RESCALED, "places")
    first = Signal(signed(PRODUCT_BITS + 1))
    result = Signal(signed(PRODUCT_BITS + 2))
    with m.Switch(places):
        for left in range(MAX_LEFT_SHIFT + 1):
            with m.Case(left):
                place = 30 - left - LOW_BITS
                m.d.comb += result.eq((before + (1 << place)) >> (place + 1))
        for right in range(1, 32):
            with m.Case(-right):
                _right(m, rounding, before, first, result, right)
    begun = _delayed(bench, Signal(init=1), AT_RESCALED, "begun")
    with m.If(begun & (places >= -31) & (places <= MAX_LEFT_SHIFT)):
        # a zero point more or less does not bring these back
        with m.If(dut.saturates):
            m.d.comb += Assert((result < -256) | (result > 255))
            m.d.comb += Assert(dut.negative == (result < 0))
        with m.Else():
            m.d.comb += Assert(dut.rescaled == result)
    return bench


def _right(m: Any, rounding: str, product: Any, first: Any, result: Any, right: int) -> None:
    """A right shift of the product, as `kernels.requantize` has it."""
    place = 30 - LOW_BITS
    if rounding == "single":
        m.d.comb += result.eq((product + (1 << place + right)) >> (place + 1 + right))
        return
    half = 1 << right - 1
    less = Mux(first < 0, 1, 0) if rounding == "double" else 0
    m.d.comb += [
        first.eq((product + (1 << place)) >> (place + 1)),
        result.eq((first + half - less) >> right),
    ]


def clamped() -> Bench:
    """Lemma 3; for the clamp of a command, whose ends are in order."""
    bench, dut = _bench("double")
    m = bench.m
    bench.drive(dut.shift)
    settings = {}
    for name in ("zero_point", "minimum", "maximum"):
        settings[name] = Signal(signed(8), name=f"set_{name}")
        chosen = bench.free(signed(8), f"chosen_{name}")
        # the command's, which stay as they are
        fixed = Signal(name=f"fixed_{name}")
        m.d.sync += [settings[name].eq(Mux(fixed, settings[name], chosen)), fixed.eq(1)]
        m.d.comb += getattr(dut, name).eq(settings[name])
    window = bench.cut("window", signed(RESULT_BITS + 1))
    saturates, negative = bench.cut("saturates", 1), bench.cut("negative", 1)
    delay = AT_OUTPUT - AT_RESCALED
    value = _delayed(bench, window, delay, "window")
    beyond = _delayed(bench, saturates, delay, "beyond")
    below = _delayed(bench, negative, delay, "below")
    total = Signal(signed(RESULT_BITS + 3))
    low, high = settings["minimum"], settings["maximum"]
    m.d.comb += total.eq(((value + 1) >> 1) + settings["zero_point"])
    expected = Signal(signed(8))
    with m.If(Mux(beyond, below, total < low)):
        m.d.comb += expected.eq(low)
    with m.Elif(Mux(beyond, ~below, total > high)):
        m.d.comb += expected.eq(high)
    with m.Else():
        m.d.comb += expected.eq(total)
    begun = _delayed(bench, Signal(init=1), delay + 1, "begun")
    with m.If(begun):
        m.d.comb += Assert(dut.output == expected)
    return bench


PROOFS = (
    Proof(
        "rtl.requantizer.Requantizer",
        "lemma 1: the multiplier gets int32((value + bias) << shift) >> shift, or the sum itself",
        wrapped,
        ("lost", "7'b0000000"),
    ),
    *(
        Proof(
            "rtl.requantizer.Requantizer",
            f"lemma 2, {rounding}: from any product to what rounding and shifting make of it",
            partial(rescaled, rounding),
            ("half", "2'b00") if rounding != "single" else ("fine", "3'b000"),
            steps=AT_RESCALED + 2,
            slow=True,
        )
        for rounding in ROUNDINGS
    ),
    Proof(
        "rtl.requantizer.Requantizer",
        "lemma 3: the zero point is added, and the sum clamped",
        clamped,
        ("below", "1'0"),
        steps=AT_OUTPUT,
    ),
)
