"""Requantization as TensorFlow Lite Micro does it, or with other roundings, fully pipelined."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
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
    rescaled, saturates, negative : what `requantize` gives, at stage `RESCALED_LATENCY`; outside of
        -512 to 511, `saturates` is set, and only the sign means something.
    output : int8, `LATENCY` cycles later.
    """

    LATENCY = 12

    RESCALED_LATENCY = 9

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
        # what is chosen from has many users: nothing but registers behind it
        value = Signal(signed(33), reset_less=True)
        bias = Signal(signed(33), reset_less=True)
        multipliers = [Signal(31, name=f"multiplier{i}", reset_less=True) for i in range(2)]
        shift = Signal(signed(6), reset_less=True)
        with m.If(self.stages[0]):
            m.d.sync += [
                value.eq(self.value),
                bias.eq(self.bias),
                multipliers[0].eq(self.multiplier),
                shift.eq(self.shift),
            ]

        doubled = Signal(signed(33))
        biased = Signal(signed(32), reset_less=True)
        # bit i : place 31 - i has what the left shift would lose
        lost = Signal(MAX_LEFT_SHIFT, reset_less=True)
        distances = [Signal(6, name=f"distance{i}", reset_less=True) for i in range(6)]
        seconds = Signal(5, reset_less=True)
        m.d.comb += doubled.eq(value + bias)
        with m.If(self.stages[1]):
            m.d.sync += [
                biased.eq(doubled[1:].as_signed()),
                multipliers[1].eq(multipliers[0]),
                lost.eq(Cat(shift > i for i in range(MAX_LEFT_SHIFT))),
                distances[0].eq(MAX_LEFT_SHIFT - shift),
                seconds[0].eq(shift < 0),
            ]
        for i in range(1, len(distances)):
            with m.If(self.stages[1 + i]):
                m.d.sync += distances[i].eq(distances[i - 1])
        for i in range(1, len(seconds)):
            with m.If(self.stages[1 + i]):
                m.d.sync += seconds[i].eq(seconds[i - 1])

        product = self._multiply(m, self._wrap(m, biased, lost), multipliers[1])
        rounded = self._round_first(m, product, seconds[-1])
        window = self._shift(m, rounded, distances[-1])

        # the last rounding: a half, which is the window's lowest place; the zero point in one sum
        doubled_total = Signal(signed(RESULT_BITS + 3), reset_less=True)
        saturates = Signal(reset_less=True)
        negative = Signal(reset_less=True)
        with m.If(self.stages[9]):
            m.d.sync += [
                doubled_total.eq(window + Cat(C(1, 1), self.zero_point).as_signed()),
                saturates.eq(self.saturates),
                negative.eq(self.negative),
            ]
        m.d.comb += self.rescaled.eq((window + 1) >> 1)
        total = doubled_total[1:].as_signed()
        result = Signal(signed(8), reset_less=True)
        below = Signal(reset_less=True)
        above = Signal(reset_less=True)
        with m.If(self.stages[10]):
            m.d.sync += [
                result.eq(total),
                below.eq(Mux(saturates, negative, total < self.minimum)),
                above.eq(Mux(saturates, ~negative, total > self.maximum)),
            ]
        with m.If(self.stages[11]):
            with m.If(below):
                m.d.sync += self.output.eq(self.minimum)
            with m.Elif(above):
                m.d.sync += self.output.eq(self.maximum)
            with m.Else():
                m.d.sync += self.output.eq(result)
        return m

    def _wrap(self, m: Module, value: Signal, lost: Signal) -> Signal:
        """`int32(value << left) >> left`: the sign over the places that the shift would lose."""
        wrapped = Signal(signed(32))
        sign = Signal()
        # the highest place that is kept
        kept = [~lost[0], *(lost[i - 1] & ~lost[i] for i in range(1, MAX_LEFT_SHIFT)), lost[-1]]
        m.d.comb += [
            sign.eq(Cat(is_it & value[31 - i] for i, is_it in enumerate(kept)).any()),
            wrapped.eq(value),
        ]
        for i in range(MAX_LEFT_SHIFT):
            m.d.comb += wrapped[31 - i].eq(Mux(lost[i], sign, value[31 - i]))
        return wrapped

    def _multiply(self, m: Module, value: Signal, multiplier: Signal) -> Signal:
        """The product from place `LOW_BITS` on, at stage 6: places below never carry."""
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
                part.take.eq(self.stages[2]),
                part.multiply.eq(self.stages[3]),
            ]
            parts.append(part.product)
        low_low, low_high, high_low, high_high = parts
        middle = Signal(signed(33), reset_less=True)
        outer = Signal(signed(45), reset_less=True)
        product = Signal(signed(45), reset_less=True)
        with m.If(self.stages[4]):
            m.d.sync += [
                middle.eq(low_high + high_low),
                outer.eq(Cat(low_low[LOW_BITS:], high_high).as_signed()),
            ]
        with m.If(self.stages[5]):
            m.d.sync += product.eq(outer + middle)
        return product

    def _round_first(self, m: Module, product: Signal, second: Value) -> Signal:
        """The product from place 30 - `MAX_LEFT_SHIFT` on, at stage 7.

        When a `second` rounding follows, a half is added at place 30, or taken away from negative
        values: that is the half and one less at place 31, which makes ties go away from zero.
        """
        rounded = Signal(signed(33 + MAX_LEFT_SHIFT), reset_less=True)
        lowest = 30 - LOW_BITS
        upper = product[lowest:].as_signed()
        half = Signal(signed(2))
        if self.rounding != "single":
            downwards = product[-1] if self.rounding == "double" else C(0, 1)
            m.d.comb += half.eq(Mux(second, Cat(C(1, 1), downwards).as_signed(), 0))
        with m.If(self.stages[6]):
            m.d.sync += rounded.eq(Cat(product[lowest - MAX_LEFT_SHIFT : lowest], upper + half))
        return rounded

    def _shift(self, m: Module, value: Signal, distance: Signal) -> Signal:
        """Twice the result, at stage 9, when `saturates` and `negative` are set, too.

        Shifted right by `distance`: whole bytes first, then the rest of it.
        """
        fine = Signal(3, reset_less=True)
        coarse_bits = RESULT_BITS + 1 + 7
        coarse = Signal(signed(coarse_bits), reset_less=True)
        window = Signal(signed(RESULT_BITS + 1), reset_less=True)
        sign = value[-1]
        coarse_sign = Signal(reset_less=True)
        coarse_beyond = Signal(reset_less=True)
        with m.If(self.stages[7]):
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
        with m.If(self.stages[8]):
            m.d.sync += [
                window.eq(level.as_signed()),
                self.saturates.eq(beyond | (level[-1] != coarse_sign)),
                self.negative.eq(coarse_sign),
            ]
        return window
