"""Scales the operands of an elementwise sum to a common scale, or multiplies them."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class OperandScaler(wiring.Component):
    """One operand of an elementwise command: `requantize((x - zero_point) << 20, ...)`.

    Because the left shift by 20 commutes with the product, only 11 places are left to be rounded
    away after it: a 9 x 32 bit product, then a rounding right shift by `11 + right_shift`, in one
    step or in two as in the requantizer. Instead of the multiplier, `factor << 11` may be taken,
    which gives the product `(x - zero_point) * factor` itself.

    Latency: `LATENCY` cycles, with any rounding. Throughput: one value per cycle. Never stalls.

    Parameters
    ----------
    rounding : one of `rtl.config.ROUNDINGS`.

    Members
    -------
    stages : which pipeline stages hold a value to be processed in this cycle.
    operand, zero_point : int8. multiplier : Q31. right_shift : 0 to 31.
    use_factor, factor : at stage 1: the factor replaces the multiplier.
    negate : the output is the negative.
    difference : `operand - zero_point`, at stage 1.
    output : int32.
    """

    LATENCY = 6

    stages: Signal
    operand: Signal
    zero_point: Signal
    multiplier: Signal
    right_shift: Signal
    use_factor: Signal
    factor: Signal
    negate: Signal
    difference: Signal
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
                "use_factor": In(1),
                "factor": In(signed(9)),
                "negate": In(1),
                "difference": Out(signed(9)),
                "output": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        product = Signal(signed(41), reset_less=True)
        raised = Signal(signed(42), reset_less=True)
        nudged = Signal(signed(33), reset_less=True)
        remaining = Signal(5)
        shifted = Signal(signed(33), reset_less=True)
        last = Signal(signed(33))
        with m.If(self.stages[0]):
            m.d.sync += self.difference.eq(self.operand - self.zero_point)
        with m.If(self.stages[1]):
            m.d.sync += product.eq(
                self.difference * Mux(self.use_factor, self.factor << 11, self.multiplier)
            )
        # as in the requantizer: shift all but the last place, add a half, shift on
        if self.rounding == "single":
            m.d.comb += remaining.eq(self.right_shift)
            with m.If(self.stages[2]):
                m.d.sync += raised.eq(product)
            with m.If(self.stages[3]):
                m.d.sync += nudged.eq(raised[10:].as_signed())
        else:
            rounded = raised[11:].as_signed()
            downwards = rounded < 0 if self.rounding == "double" else 0
            exact = self.right_shift == 0
            m.d.comb += remaining.eq(Mux(exact, 0, self.right_shift - 1))
            with m.If(self.stages[2]):
                m.d.sync += raised.eq(product + (1 << 10))
            with m.If(self.stages[3]):
                with m.If(exact):
                    m.d.sync += nudged.eq(rounded << 1)
                with m.Else():
                    m.d.sync += nudged.eq(rounded - downwards)
        with m.If(self.stages[4]):
            m.d.sync += shifted.eq(nudged >> remaining)
        # -((s + 1) >> 1) == (~s + 1) >> 1
        m.d.comb += last.eq(Mux(self.negate, ~shifted, shifted))
        with m.If(self.stages[5]):
            m.d.sync += self.output.eq((last + 1) >> 1)
        return m
