"""One hardware multiplier with its registers, by instance where the target has such a cell."""

from amaranth.hdl import ClockSignal, Const, Instance, Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

ECP5 = "ecp5"
"""Name of the target whose `MULT18X18D` is instantiated."""

OPERAND_BITS = 18
"""Widest operand of that cell, signed or unsigned."""


class Target:
    """What a netlist is for, as `elaborate` sees it; without one, nothing but plain logic.

    Parameters
    ----------
    name : `ECP5`, or any other name for logic alone.
    """

    def __init__(self, name: str) -> None:
        self.name = name


class Multiplier(wiring.Component):
    """`product = a * b`, exact.

    On ECP5 one `MULT18X18D` with its own input and output registers; synthesis leaves these unused
    when it infers the cell, and a third of the clock with them. Elsewhere the same in plain logic.

    Latency: 2 cycles, operand registers and product register, each with an enable of its own.
    Throughput: one product per cycle. Nothing is reset.

    Parameters
    ----------
    a, b : shapes of the operands, at most `OPERAND_BITS` wide.

    Members
    -------
    take, a, b : register the operands. multiply : register their product. product : the result.
    """

    LATENCY = 2

    take: Signal
    a: Signal
    b: Signal
    multiply: Signal
    product: Signal

    def __init__(self, a: Shape, b: Shape) -> None:
        assert max(a.width, b.width) <= OPERAND_BITS, f"operands are {a} and {b}"
        super().__init__(
            {
                "take": In(1),
                "a": In(a),
                "b": In(b),
                "multiply": In(1),
                "product": Out(Shape(a.width + b.width, signed=a.signed or b.signed)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if isinstance(platform, Target) and platform.name == ECP5:
            m.submodules.cell = self._mult18x18d(m)
            return m
        a = Signal.like(self.a, name="operand_a", reset_less=True)
        b = Signal.like(self.b, name="operand_b", reset_less=True)
        with m.If(self.take):
            m.d.sync += [a.eq(self.a), b.eq(self.b)]
        with m.If(self.multiply):
            m.d.sync += self.product.eq(a * b)
        return m

    def _mult18x18d(self, m: Module) -> Instance:
        operands = {}
        for name, operand in (("A", self.a), ("B", self.b)):
            wide = Signal(Shape(OPERAND_BITS, operand.shape().signed), name=f"wide_{name}")
            m.d.comb += wide.eq(operand)
            for bit in range(OPERAND_BITS):
                operands[f"i_{name}{bit}"] = wide[bit]
            operands[f"i_SIGNED{name}"] = Const(int(operand.shape().signed), 1)
        product = Signal(2 * OPERAND_BITS)
        m.d.comb += self.product.eq(product)
        outputs = {f"o_P{bit}": product[bit] for bit in range(2 * OPERAND_BITS)}
        clocked = {}
        for register, enable in (("INPUTA", "CE0"), ("INPUTB", "CE0"), ("OUTPUT", "CE1")):
            clocked[f"p_REG_{register}_CLK"] = "CLK0"
            clocked[f"p_REG_{register}_CE"] = enable
        return Instance(
            "MULT18X18D",
            p_REG_PIPELINE_CLK="NONE",
            p_GSR="DISABLED",
            p_SOURCEB_MODE="B_SHIFT",
            **clocked,
            i_CLK0=ClockSignal(),
            i_CE0=self.take,
            i_CE1=self.multiply,
            i_RST0=Const(0, 1),
            i_SOURCEA=Const(0, 1),
            i_SOURCEB=Const(0, 1),
            **operands,
            **outputs,
        )
