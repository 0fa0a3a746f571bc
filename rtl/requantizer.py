"""Requantization as TensorFlow Lite Micro does it, or with other roundings, fully pipelined."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Requantizer(wiring.Component):
    """One lane: `clamp(requantize(value + bias, multiplier, shift) + zero_point)`.

    With rounding "double", `requantize` is TFLM's `MultiplyByQuantizedMultiplier`: with
    `ls = max(shift, 0)` and `rs = max(-shift, 0)`, first
    `t = (int32(x << ls) * multiplier + 2**30) >> 31`, then a rounding right shift of t by rs, ties
    away from zero; with "half_up" ties go up there too; with "single" the product is shifted by
    `31 + rs` at once, ties up. All sums wrap at 32 bits like the C code. Multipliers are Q31 and
    not negative: bit 31 is ignored.

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
    output : int8, `LATENCY` cycles later.
    """

    LATENCY = 9

    stages: Signal
    value: Signal
    bias: Signal
    multiplier: Signal
    shift: Signal
    zero_point: Signal
    minimum: Signal
    maximum: Signal
    output: Signal

    def __init__(self, rounding: str) -> None:
        self.rounding = rounding
        super().__init__(
            {
                "stages": In(self.LATENCY),
                "value": In(signed(32)),
                "bias": In(signed(32)),
                "multiplier": In(32),
                "shift": In(signed(8)),
                "zero_point": In(signed(8)),
                "minimum": In(signed(8)),
                "maximum": In(signed(8)),
                "output": Out(signed(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        biased = Signal(signed(32), reset_less=True)
        left = Signal(5, reset_less=True)
        multipliers = [Signal(32, name=f"multiplier{i}", reset_less=True) for i in range(2)]
        rights = [Signal(5, name=f"right{i}", reset_less=True) for i in range(6)]
        with m.If(self.stages[0]):
            m.d.sync += [
                biased.eq(self.value + self.bias),
                left.eq(Mux(self.shift < 0, 0, self.shift)),
                rights[0].eq(Mux(self.shift < 0, -self.shift, 0)),
                multipliers[0].eq(self.multiplier),
            ]

        shifted = Signal(signed(32), reset_less=True)
        with m.If(self.stages[1]):
            m.d.sync += [
                shifted.eq(biased << left),
                multipliers[1].eq(multipliers[0]),
                rights[1].eq(rights[0]),
            ]

        # 32 x 32 bits as four 16 x 16 products, each one DSP block
        low, high = shifted[:16], shifted[16:].as_signed()
        m_low, m_high = multipliers[1][:16], multipliers[1][16:31]
        low_low = Signal(32, reset_less=True)
        low_high = Signal(31, reset_less=True)
        high_low = Signal(signed(32), reset_less=True)
        high_high = Signal(signed(31), reset_less=True)
        with m.If(self.stages[2]):
            m.d.sync += [
                low_low.eq(low * m_low),
                low_high.eq(low * m_high),
                high_low.eq(high * m_low),
                high_high.eq(high * m_high),
                rights[2].eq(rights[1]),
            ]

        # the constant of a first rounding, 2**30, joins the middle products
        half = 0 if self.rounding == "single" else 1 << 14
        middle = Signal(signed(35), reset_less=True)
        outer = Signal(signed(63), reset_less=True)
        with m.If(self.stages[3]):
            m.d.sync += [
                middle.eq(low_high + high_low + half),
                outer.eq(Cat(low_low, high_high).as_signed()),
                rights[3].eq(rights[2]),
            ]

        product = Signal(signed(64), reset_less=True)
        with m.If(self.stages[4]):
            m.d.sync += [product.eq(outer + (middle << 16)), rights[4].eq(rights[3])]

        # the last rounding: shift all but the last place, add a half, shift on; a value that is not
        # shifted after a first rounding enters with an empty place
        nudged = Signal(signed(34), reset_less=True)
        with m.If(self.stages[5]):
            if self.rounding == "single":
                m.d.sync += [nudged.eq(product[30:].as_signed()), rights[5].eq(rights[4])]
            else:
                rounded = product[31:].as_signed()
                # one less makes ties of negative values go down: away from zero
                downwards = rounded < 0 if self.rounding == "double" else 0
                with m.If(rights[4] == 0):
                    m.d.sync += [nudged.eq(rounded << 1), rights[5].eq(0)]
                with m.Else():
                    m.d.sync += [nudged.eq(rounded - downwards), rights[5].eq(rights[4] - 1)]

        scaled = Signal(signed(34), reset_less=True)
        with m.If(self.stages[6]):
            m.d.sync += scaled.eq(nudged >> rights[5])

        # zero point and the half in one sum
        doubled = Signal(signed(35), reset_less=True)
        total = doubled[1:].as_signed()
        with m.If(self.stages[7]):
            m.d.sync += doubled.eq(scaled + Cat(C(1, 1), self.zero_point).as_signed())

        with m.If(self.stages[8]):
            with m.If(total < self.minimum):
                m.d.sync += self.output.eq(self.minimum)
            with m.Elif(total > self.maximum):
                m.d.sync += self.output.eq(self.maximum)
            with m.Else():
                m.d.sync += self.output.eq(total)
        return m
