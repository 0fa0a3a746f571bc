"""Scales the operands of an elementwise addition to a common scale."""

from amaranth.hdl import Module, Mux, Signal, signed, unsigned
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
    operand, zero_point : int8. multiplier : Q31. right_shift : 0 to 31.
    output : int32.
    """

    LATENCY = 4

    operand: Signal
    zero_point: Signal
    multiplier: Signal
    right_shift: Signal
    output: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "operand": In(signed(8)),
                "zero_point": In(signed(8)),
                "multiplier": In(32),
                "right_shift": In(5),
                "output": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        difference = Signal(signed(9))
        product = Signal(signed(42))
        nudged = Signal(signed(33))
        half = Signal(unsigned(32))
        rounded = Signal(signed(32))
        m.d.comb += [
            rounded.eq((product + (1 << 10)) >> 11),
            half.eq((1 << self.right_shift) >> 1),
        ]
        m.d.sync += [
            difference.eq(self.operand - self.zero_point),
            product.eq(difference * self.multiplier),
            nudged.eq(Mux(self.right_shift == 0, rounded, rounded + half - (rounded < 0))),
            self.output.eq(nudged >> self.right_shift),
        ]
        return m
