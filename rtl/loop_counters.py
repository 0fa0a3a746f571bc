"""The loop nest of a compute command: which loop goes on after each step."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.isa import COMMANDS, Opcode

LEVELS = 6
"""Loops of the nest, innermost first: channel steps, kernel columns and rows, and these."""

GROUP, ROW, BLOCK = 3, 4, 5
"""Pixel groups along a row, output rows, blocks of channels."""


class LoopCounters(wiring.Component):
    """Count the iterations of all loops.

    A level advances when it has iterations left and those inside it have not. All that is known a
    step before, from what the counters are counted to. ELEMENTWISE walks its operands as the two
    innermost levels, in turn.

    Latency: `advance` and `ofm_pixels` hold for the first step in the cycle after `setup`.
    Throughput: a step per cycle.

    Members
    -------
    setup : begin anew; `command` is valid from two cycles before on. step : a step is taken.
    command, is_elementwise : a command of the grid, or none.
    advance : which level goes on after this step, one-hot, none after the last one; a register.
    ofm_pixels : pixels of the group.
    """

    setup: Signal
    step: Signal
    command: Any
    is_elementwise: Signal
    advance: Signal
    ofm_pixels: Signal

    def __init__(self) -> None:
        layout = COMMANDS[Opcode.CONV].layout
        super().__init__(
            {
                "setup": In(1),
                "step": In(1),
                "command": In(layout),
                "is_elementwise": In(1),
                "advance": Out(LEVELS),
                "ofm_pixels": Out(layout["group_pixels"].shape),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = self.command
        counts = {
            0: command.channel_steps,
            1: command.kernel_width,
            2: command.kernel_height,
            ROW: command.ofm_height,
            BLOCK: command.blocks,
        }
        advance = self.advance
        more = Signal(LEVELS, reset_less=True)
        # only one iteration is left after the next advance
        nearly = Signal(LEVELS, reset_less=True)
        # of the command: more than one iteration, exactly two; some level inside has several; the
        # innermost one that has
        several = Signal(LEVELS, reset_less=True)
        pair = Signal(LEVELS, reset_less=True)
        inner = Signal(LEVELS, reset_less=True)
        innermost = Signal(LEVELS, reset_less=True)
        for level in range(LEVELS):
            m.d.sync += [
                inner[level].eq(several[:level].any()),
                innermost[level].eq(several[level] & ~several[:level].any()),
            ]
        # the last advance of a level whose inner ones have one iteration each: on to an outer one
        over = advance & nearly & ~inner
        following = Signal(LEVELS)
        for level in range(LEVELS):
            outwards = [
                over[low] & more[level] & ~more[low + 1 : level].any() for low in range(level)
            ]
            m.d.comb += following[level].eq(
                (advance[level + 1 :].any() & innermost[level])
                | (advance[level] & ~nearly[level] & ~inner[level])
                | Cat(outwards).any()
            )
            with m.If(self.setup | (self.step & advance[level + 1 :].any())):
                m.d.sync += more[level].eq(several[level])
            with m.Elif(self.step & advance[level]):
                m.d.sync += more[level].eq(~nearly[level])
        with m.If(self.setup):
            m.d.sync += advance.eq(Mux(self.is_elementwise, 0b01, innermost))
        with m.Elif(self.step):
            m.d.sync += advance.eq(Mux(self.is_elementwise, Mux(advance[0], 0b10, 0b01), following))

        for level, count in counts.items():
            left = Signal.like(count, name=f"left{level}", reset_less=True)
            m.d.sync += [several[level].eq(count != 1), pair[level].eq(count == 2)]
            with m.If(self.setup | (self.step & advance[level + 1 :].any())):
                m.d.sync += [left.eq(count), nearly[level].eq(pair[level])]
            with m.Elif(self.step & advance[level]):
                m.d.sync += [left.eq(left - 1), nearly[level].eq(left == 3)]
        group_pixels, width = command.group_pixels, command.ofm_width
        width_left = Signal(16, reset_less=True)
        triple = Signal(len(group_pixels) + 2, reset_less=True)
        m.d.sync += [
            several[GROUP].eq(width > group_pixels),
            pair[GROUP].eq(width <= group_pixels << 1),
            triple.eq(group_pixels + (group_pixels << 1)),
        ]
        with m.If(self.setup | (self.step & advance[GROUP + 1 :].any())):
            m.d.sync += [width_left.eq(width), nearly[GROUP].eq(pair[GROUP])]
        with m.Elif(self.step & advance[GROUP]):
            m.d.sync += [
                width_left.eq(width_left - group_pixels),
                nearly[GROUP].eq(width_left <= triple),
            ]
        m.d.comb += self.ofm_pixels.eq(Mux(more[GROUP], group_pixels, width_left))
        return m
