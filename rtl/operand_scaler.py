"""Scales one operand of an elementwise sum to the other's scale, or multiplies the two."""

from amaranth.hdl import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.multiplier import Multiplier

LOW_BITS = 18
"""Where the multiplier is split."""


class OperandScaler(wiring.Component):
    """One operand of an elementwise command: `requantize((x - zero_point) << 20, ...)`, doubled.

    Because the left shift by 20 commutes with the product, only 11 places are left to be rounded
    away after it: a 9 x 32 bit product, then a rounding right shift by `11 + right_shift`, in one
    step or in two as in the requantizer. The last half is not added here: the output is twice the
    value, rounded down, and who adds it to something adds one as well, and halves the sum.
    Instead of the multiplier, `factor << 11` may be taken, which gives twice the product
    `(x - zero_point) * factor` itself.

    Latency: `LATENCY` cycles, with any rounding. Throughput: one value per cycle. Never stalls.

    Parameters
    ----------
    rounding : one of `rtl.config.ROUNDINGS`.

    Members
    -------
    stages : which pipeline stages hold a value to be processed in this cycle.
    operand, zero_point : int8. multiplier : Q31. right_shift : 0 to 31. twice : it is not 0.
    use_factor, factor : the factor, at stage 0 as the operand, replaces the multiplier, whose
        lowest 11 places are 0 then.
    complement : the output is `~` of itself, which with the one to be added is the negative.
    output : twice the value.
    """

    LATENCY = 7

    stages: Signal
    operand: Signal
    zero_point: Signal
    multiplier: Signal
    right_shift: Signal
    twice: Signal
    use_factor: Signal
    factor: Signal
    complement: Signal
    output: Signal

    def __init__(self, rounding: str) -> None:
        self.rounding = rounding
        super().__init__(
            {
                "stages": In(self.LATENCY),
                "operand": In(signed(8)),
                "zero_point": In(signed(8)),
                "multiplier": In(32),
                "right_shift": In(5),
                "twice": In(1),
                "use_factor": In(1),
                "factor": In(signed(9)),
                "complement": In(1),
                "output": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        difference = Signal(signed(9), reset_less=True)
        other = Signal(signed(9), reset_less=True)
        factor = Signal(signed(32))
        with m.If(self.stages[0]):
            m.d.sync += [
                difference.eq(self.operand - self.zero_point),
                other.eq(self.factor),
            ]
        m.d.comb += factor.eq(
            Mux(
                self.use_factor,
                Cat(self.multiplier[:11], other).as_signed(),
                self.multiplier[:31],
            )
        )
        parts = []
        for name, part in (
            ("low", factor[:LOW_BITS]),
            ("high", factor[LOW_BITS:].as_signed()),
        ):
            multiplier = Multiplier(signed(9), part.shape())
            m.submodules[name] = multiplier
            m.d.comb += [
                multiplier.a.eq(difference),
                multiplier.b.eq(part),
                multiplier.take.eq(self.stages[1]),
                multiplier.multiply.eq(self.stages[2]),
            ]
            parts.append(multiplier.product)
        low, high = parts
        # from place 10 on; places below never carry
        product = Signal(signed(31), reset_less=True)
        with m.If(self.stages[3]):
            upper = low[LOW_BITS:].as_signed() + high
            m.d.sync += product.eq(Cat(low[10:LOW_BITS], upper))

        # as in the requantizer: the first half, and one less for negative values
        rounded = Signal(signed(31), reset_less=True)
        half = Signal(signed(2))
        if self.rounding != "single":
            downwards = product[-1] if self.rounding == "double" else C(0, 1)
            m.d.comb += half.eq(Mux(self.twice, Cat(C(1, 1), downwards).as_signed(), 0))
        with m.If(self.stages[4]):
            m.d.sync += rounded.eq(product + half)

        coarse = Signal(signed(31), reset_less=True)
        with m.If(self.stages[5]), m.Switch(self.right_shift[3:]):
            for step in range(4):
                with m.Case(step):
                    m.d.sync += coarse.eq(rounded >> 8 * step)
        level: Value = coarse
        for bit in (2, 1, 0):
            level = Mux(self.right_shift[bit], level >> (1 << bit), level)
        with m.If(self.stages[6]):
            m.d.sync += self.output.eq(Mux(self.complement, ~level, level))
        return m
