"""Scales the operands of an elementwise addition to a common scale."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class OperandScaler(wiring.Component):
    """One operand of ADD: TFLM's `MultiplyByQuantizedMultiplier((x - zero_point) << 20, ...)`.

    Because the left shift by 20 commutes with the product, the first rounding is
    `t = ((x - zero_point) * multiplier + 2**10) >> 11`: a 9 x 32 bit product. Then a rounding right
    shift, ties away from zero.

    Latency: `LATENCY` cycles. Throughput: one value per cycle. Never stalls.

    Members
    -------
    stages : which pipeline stages hold a value to be processed in this cycle.
    operand, zero_point : int8. multiplier : Q31. right_shift : 0 to 31.
    output : int32.
    """

    LATENCY = 6

    stages: Signal
    operand: Signal
    zero_point: Signal
    multiplier: Signal
    right_shift: Signal
    output: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "stages": In(self.LATENCY),
                "operand": In(signed(8)),
                "zero_point": In(signed(8)),
                "multiplier": In(32),
                "right_shift": In(5),
                "output": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        difference = Signal(signed(9), reset_less=True)
        product = Signal(signed(41), reset_less=True)
        raised = Signal(signed(42), reset_less=True)
        nudged = Signal(signed(33), reset_less=True)
        remaining = Signal(5)
        shifted = Signal(signed(33), reset_less=True)
        rounded = raised[11:].as_signed()
        exact = self.right_shift == 0
        m.d.comb += remaining.eq(Mux(exact, 0, self.right_shift - 1))
        with m.If(self.stages[0]):
            m.d.sync += difference.eq(self.operand - self.zero_point)
        with m.If(self.stages[1]):
            m.d.sync += product.eq(difference * self.multiplier)
        with m.If(self.stages[2]):
            m.d.sync += raised.eq(product + (1 << 10))
        # as in the requantizer: shift all but the last place, add a half, shift on
        with m.If(self.stages[3]):
            with m.If(exact):
                m.d.sync += nudged.eq(rounded << 1)
            with m.Else():
                m.d.sync += nudged.eq(rounded - (rounded < 0))
        with m.If(self.stages[4]):
            m.d.sync += shifted.eq(nudged >> remaining)
        with m.If(self.stages[5]):
            m.d.sync += self.output.eq((shifted + 1) >> 1)
        return m
