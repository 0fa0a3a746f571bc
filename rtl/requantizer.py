"""Requantization as TensorFlow Lite Micro does it, or with other roundings, fully pipelined."""

from amaranth.hdl import Array, C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.isa import MAX_LEFT_SHIFT
from rtl.multiplier import Multiplier

LOW_BITS = 18
"""Where both factors are split: the width of the multipliers."""

RESULT_BITS = 10
"""Bits of a rescaled value that differ from saturation after a zero point was added, and one."""


def differs(bits: Value, sign: Value) -> Value:
    """Whether any bit is not a copy of the sign."""
    return Mux(sign, ~bits.all(), bits.any())


class Requantizer(wiring.Component):
    """One lane: `clamp(requantize(value + bias, multiplier, shift) + zero_point)`.

    With rounding "double", `requantize` is TFLM's `MultiplyByQuantizedMultiplier`: with
    `ls = max(shift, 0)` and `rs = max(-shift, 0)`, first
    `t = (int32(x << ls) * multiplier + 2**30) >> 31`, then a rounding right shift of t by rs, ties
    away from zero; with "half_up" ties go up there too; with "single" the product is shifted by
    `31 + rs` at once, ties up. All sums wrap at 32 bits like the C code. Multipliers are Q31 and
    not negative: bit 31 is ignored. Shifts are -31 to `MAX_LEFT_SHIFT`.

    Value and bias come doubled, as 33 bits whose lowest is dropped from their sum; so a value that
    is still to be halved is rounded up when the bias is odd.

    The left shift is not carried out: the product is shifted that much less to the right. What
    `int32(x << ls)` would lose is overwritten with the sign before.

    Latency: `LATENCY` cycles, with any rounding. Throughput: one value per cycle. Never stalls.
    Stage s computes only when `stages[s]` is set, so that an idle lane does not switch.

    Parameters
    ----------
    rounding : one of `rtl.config.ROUNDINGS`.

    Members
    -------
    stages : which pipeline stages hold a value to be processed in this cycle.
    value, bias, multiplier, shift : a value and its channel's parameters, at stage 0.
    zero_point, minimum, maximum : of the command; constant while values are under way.
    rescaled, saturates, negative : what `requantize` gives, at stage 8; outside of -512 to 511,
        `saturates` is set, and only the sign means something.
    output : int8, `LATENCY` cycles later.
    """

    LATENCY = 10

    RESCALED_LATENCY = 8

    stages: Signal
    value: Signal
    bias: Signal
    multiplier: Signal
    shift: Signal
    zero_point: Signal
    minimum: Signal
    maximum: Signal
    rescaled: Signal
    saturates: Signal
    negative: Signal
    output: Signal

    def __init__(self, rounding: str) -> None:
        self.rounding = rounding
        super().__init__(
            {
                "stages": In(self.LATENCY),
                "value": In(signed(33)),
                "bias": In(signed(33)),
                "multiplier": In(32),
                "shift": In(signed(8)),
                "zero_point": In(signed(8)),
                "minimum": In(signed(8)),
                "maximum": In(signed(8)),
                "rescaled": Out(signed(RESULT_BITS + 1)),
                "saturates": Out(1),
                "negative": Out(1),
                "output": Out(signed(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        doubled = Signal(signed(33))
        biased = Signal(signed(32), reset_less=True)
        multiplier = Signal(31, reset_less=True)
        shifts = [Signal(signed(6), name=f"shift{i}", reset_less=True) for i in range(6)]
        m.d.comb += doubled.eq(self.value + self.bias)
        with m.If(self.stages[0]):
            m.d.sync += [
                biased.eq(doubled[1:].as_signed()),
                multiplier.eq(self.multiplier),
                shifts[0].eq(self.shift),
            ]
        for stage in range(1, len(shifts)):
            with m.If(self.stages[stage]):
                m.d.sync += shifts[stage].eq(shifts[stage - 1])

        product = self._multiply(m, self._wrap(m, biased, shifts[0]), multiplier)
        rounded = self._round_first(m, product, shifts[4])
        window = self._shift(m, rounded, shifts[5])

        # the last rounding: a half, which is the window's lowest place; the zero point in one sum
        doubled_total = Signal(signed(RESULT_BITS + 3), reset_less=True)
        saturates = Signal(reset_less=True)
        negative = Signal(reset_less=True)
        with m.If(self.stages[8]):
            m.d.sync += [
                doubled_total.eq(window + Cat(C(1, 1), self.zero_point).as_signed()),
                saturates.eq(self.saturates),
                negative.eq(self.negative),
            ]
        m.d.comb += self.rescaled.eq((window + 1) >> 1)
        total = doubled_total[1:].as_signed()
        below = Mux(saturates, negative, total < self.minimum)
        above = Mux(saturates, ~negative, total > self.maximum)
        with m.If(self.stages[9]):
            with m.If(below):
                m.d.sync += self.output.eq(self.minimum)
            with m.Elif(above):
                m.d.sync += self.output.eq(self.maximum)
            with m.Else():
                m.d.sync += self.output.eq(total)
        return m

    def _wrap(self, m: Module, value: Signal, shift: Signal) -> Signal:
        """`int32(value << left) >> left`: the sign over the places that the shift would lose."""
        wrapped = Signal(signed(32))
        sign = Signal()
        left = Signal(range(MAX_LEFT_SHIFT + 1))
        m.d.comb += [
            left.eq(Mux(shift < 0, 0, shift)),
            sign.eq(Array(value[31 - i] for i in range(MAX_LEFT_SHIFT + 1))[left]),
            wrapped.eq(value),
        ]
        for lost in range(1, MAX_LEFT_SHIFT + 1):
            with m.If(left >= lost):
                m.d.comb += wrapped[32 - lost].eq(sign)
        return wrapped

    def _multiply(self, m: Module, value: Signal, multiplier: Signal) -> Signal:
        """The product from place `LOW_BITS` on, at stage 5: places below never carry."""
        low, high = value[:LOW_BITS], value[LOW_BITS:].as_signed()
        m_low, m_high = multiplier[:LOW_BITS], multiplier[LOW_BITS:]
        parts = []
        for name, a, b in (
            ("low_low", low, m_low),
            ("low_high", low, m_high),
            ("high_low", high, m_low),
            ("high_high", high, m_high),
        ):
            part = Multiplier(a.shape(), b.shape())
            m.submodules[name] = part
            m.d.comb += [
                part.a.eq(a),
                part.b.eq(b),
                part.take.eq(self.stages[1]),
                part.multiply.eq(self.stages[2]),
            ]
            parts.append(part.product)
        low_low, low_high, high_low, high_high = parts
        middle = Signal(signed(33), reset_less=True)
        outer = Signal(signed(45), reset_less=True)
        product = Signal(signed(45), reset_less=True)
        with m.If(self.stages[3]):
            m.d.sync += [
                middle.eq(low_high + high_low),
                outer.eq(Cat(low_low[LOW_BITS:], high_high).as_signed()),
            ]
        with m.If(self.stages[4]):
            m.d.sync += product.eq(outer + middle)
        return product

    def _round_first(self, m: Module, product: Signal, shift: Signal) -> Signal:
        """The product from place 30 - `MAX_LEFT_SHIFT` on, at stage 6.

        When a second rounding follows, a half is added at place 30, or taken away from negative
        values: that is the half and one less at place 31, which makes ties go away from zero.
        """
        rounded = Signal(signed(33 + MAX_LEFT_SHIFT), reset_less=True)
        lowest = 30 - LOW_BITS
        upper = product[lowest:].as_signed()
        half = Signal(signed(2))
        if self.rounding != "single":
            downwards = product[-1] if self.rounding == "double" else C(0, 1)
            m.d.comb += half.eq(Mux(shift < 0, Cat(C(1, 1), downwards).as_signed(), 0))
        with m.If(self.stages[5]):
            m.d.sync += rounded.eq(Cat(product[lowest - MAX_LEFT_SHIFT : lowest], upper + half))
        return rounded

    def _shift(self, m: Module, value: Signal, shift: Signal) -> Signal:
        """Twice the result, at stage 8, when `saturates` and `negative` are set, too.

        The distance is `MAX_LEFT_SHIFT - shift`: whole bytes first, then the rest of it.
        """
        distance = Signal(6)
        m.d.comb += distance.eq(MAX_LEFT_SHIFT - shift)
        fine = Signal(3, reset_less=True)
        coarse_bits = RESULT_BITS + 1 + 7
        coarse = Signal(signed(coarse_bits), reset_less=True)
        window = Signal(signed(RESULT_BITS + 1), reset_less=True)
        sign = value[-1]
        coarse_sign = Signal(reset_less=True)
        coarse_beyond = Signal(reset_less=True)
        with m.If(self.stages[6]):
            m.d.sync += [fine.eq(distance[:3]), coarse_sign.eq(sign)]
            with m.Switch(distance[3:]):
                for step in range((MAX_LEFT_SHIFT + 31) // 8 + 1):
                    above = value[8 * step + coarse_bits :]
                    with m.Case(step):
                        m.d.sync += coarse.eq(value[8 * step :].as_signed())
                        m.d.sync += coarse_beyond.eq(differs(above, sign) if len(above) else 0)
        level: Value = coarse
        beyond: Value = coarse_beyond
        for bit in (2, 1, 0):
            width = len(level) - (1 << bit)
            beyond = beyond | (~fine[bit] & differs(level[width:], coarse_sign))
            level = Mux(fine[bit], level[1 << bit :], level[:width])
        with m.If(self.stages[7]):
            m.d.sync += [
                window.eq(level.as_signed()),
                self.saturates.eq(beyond | (level[-1] != coarse_sign)),
                self.negative.eq(coarse_sign),
            ]
        return window
