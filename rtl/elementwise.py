"""Control and operand path of the elementwise functions."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.buffers import TableRead
from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS, COMMANDS, Function, Opcode
from rtl.operand_scaler import OperandScaler
from rtl.sequencer import StepLayout


class Elementwise(wiring.Component):
    """Pair two windows word by word and prepare what the requantizer adds up.

    All functions are sums of two scaled operands, of which the second may be 0 or negative, and
    the first a product: MAXIMUM, MINIMUM and TABLE scale their result by 1, MUL scales the first
    operand by the second.

    Latency: `OperandScaler.LATENCY + 1` cycles from the word's turn to `valid`, for every function.
    Throughput: one word (C elements) per cycle while two windows are present; the last words of
    whole windows are put aside, so that the next two can arrive in time to follow without a gap.
    Never stalls behind that.

    Parameters
    ----------
    config : sets F, C and the rounding.

    Members
    -------
    enable : the current command is an ELEMENTWISE; `command` holds its fields.
    both_valid, head, next, step : the windows of the two operands, and the first one's step.
    pop_both : both windows are used up or put aside in this cycle. pop_soon : they are in the next.
    issue : a word is taken in this cycle.
    table : port of the lookup table, read in the cycle of `issue`.
    clear : forget everything.
    valid, values, biases, address, last : for the requantizer, which adds `biases` to `values`.
    """

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "enable": In(1),
                "command": In(COMMANDS[Opcode.ELEMENTWISE].layout),
                "both_valid": In(1),
                "head": In(config.lanes * 8).array(config.banks),
                "next": In(config.lanes * 8).array(config.banks),
                "step": In(StepLayout(config)),
                "pop_both": Out(1),
                "pop_soon": Out(1),
                "issue": Out(1),
                "table": Out(TableRead(config)),
                "clear": In(1),
                "valid": Out(1),
                "values": Out(signed(32)).array(config.lanes),
                "biases": Out(signed(32)).array(config.lanes),
                "address": Out(ADDRESS_BITS),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        index = Signal(range(config.banks))
        last_index = config.banks - 1
        pair = Signal()
        final = Signal()
        aside = Signal()
        followed = Signal()
        first_address = Signal(ADDRESS_BITS)
        m.d.comb += [
            pair.eq(self.enable & self.both_valid),
            self.issue.eq(pair | aside),
            followed.eq((self.step.high == config.banks) & ~self.step.command_last),
            final.eq(index == self.step.high - 1 - followed),
            self.pop_both.eq(pair & final),
            self.pop_soon.eq(pair & followed & (index == last_index - 2)),
        ]
        m.d.sync += aside.eq(self.pop_both & followed)
        with m.If(pair):
            m.d.sync += [index.eq(index + 1), first_address.eq(self.step.ofm_address)]
            with m.If(final):
                m.d.sync += index.eq(0)

        # a repeated word is the first of its window
        taken = [Signal(config.lanes * 8, name=f"taken{i}") for i in range(2)]
        words = [Signal(config.lanes * 8, name=f"word{i}") for i in range(2)]
        second_index = Mux(self.command.ifm2_repeat, 0, index)
        put_aside = [Signal(config.lanes * 8, name=f"aside{i}") for i in range(2)]
        m.d.comb += [
            taken[0].eq(Mux(aside, put_aside[0], Array(self.head)[index])),
            taken[1].eq(Mux(aside, put_aside[1], Array(self.next)[second_index])),
        ]
        m.d.sync += [
            put_aside[0].eq(self.head[last_index]),
            put_aside[1].eq(Mux(self.command.ifm2_repeat, self.next[0], self.next[last_index])),
        ]
        with m.If(self.issue):
            m.d.sync += [word.eq(value) for word, value in zip(words, taken, strict=True)]
        m.d.comb += [
            self.table.enable.eq(self.issue & (self.command.function == Function.TABLE)),
            *(self.table.indices[c].eq(taken[0].word_select(c, 8)) for c in range(config.lanes)),
        ]

        scalers = self._lanes(m, words)

        delay = OperandScaler.LATENCY + 1
        valids = [self.issue] + [Signal(name=f"valid{i}") for i in range(delay)]
        lasts = [Signal(name=f"last{i}") for i in range(delay + 1)]
        addresses = [Signal(ADDRESS_BITS, name=f"address{i}") for i in range(delay + 1)]
        m.d.comb += [
            lasts[0].eq(self.pop_both & self.step.command_last),
            addresses[0].eq(Mux(aside, first_address + last_index, self.step.ofm_address + index)),
        ]
        for i in range(delay):
            m.d.sync += [
                valids[i + 1].eq(valids[i] & ~self.clear),
                lasts[i + 1].eq(lasts[i] & ~self.clear),
                addresses[i + 1].eq(addresses[i]),
            ]
        m.d.comb += [scaler.stages.eq(Cat(valids[1:delay])) for scaler in scalers]
        m.d.comb += [
            self.valid.eq(valids[delay]),
            self.last.eq(lasts[delay]),
            self.address.eq(addresses[delay]),
        ]
        with m.If(self.clear):
            m.d.sync += [index.eq(0), aside.eq(0)]
        return m

    def _lanes(self, m: Module, words: list[Signal]) -> list[OperandScaler]:
        """Two scalers per lane, set up for the command's function."""
        command: Any = self.command
        function = command.function
        scaled = Signal()
        extreme = Signal()
        zero_point = Signal(signed(8))
        multipliers = [Signal(32, name=f"multiplier{i}") for i in range(2)]
        right_shifts = [Signal(5, name=f"right_shift{i}") for i in range(2)]
        m.d.comb += [
            scaled.eq((function == Function.ADD) | (function == Function.SUB)),
            extreme.eq((function == Function.MAXIMUM) | (function == Function.MINIMUM)),
            zero_point.eq(Mux(scaled | (function == Function.MUL), command.ifm_zero_point, 0)),
            # 2**11 is the multiplier that changes nothing
            multipliers[0].eq(Mux(scaled, command.ifm_multiplier, 1 << 11)),
            multipliers[1].eq(Mux(scaled, command.ifm2_multiplier, 0)),
            right_shifts[0].eq(Mux(scaled, command.ifm_right_shift, 0)),
            right_shifts[1].eq(Mux(scaled, command.ifm2_right_shift, 0)),
        ]
        scalers = []
        for c in range(self.config.lanes):
            a, b = (word.word_select(c, 8).as_signed() for word in words)
            selected = Signal(signed(8), name=f"selected{c}")
            second_wins = (a < b) ^ (function == Function.MINIMUM)
            m.d.comb += selected.eq(Mux(extreme & second_wins, b, a))
            with m.If(function == Function.TABLE):
                m.d.comb += selected.eq(self.table.entries[c])

            first, second = (OperandScaler(self.config.rounding) for _ in range(2))
            scalers += [first, second]
            m.submodules[f"first{c}"] = first
            m.submodules[f"second{c}"] = second
            m.d.comb += [
                first.operand.eq(selected),
                first.zero_point.eq(zero_point),
                first.use_factor.eq(function == Function.MUL),
                first.factor.eq(second.difference),
                second.operand.eq(b),
                second.zero_point.eq(command.ifm2_zero_point),
                second.negate.eq(function == Function.SUB),
                self.values[c].eq(first.output),
                self.biases[c].eq(second.output),
            ]
            for scaler, multiplier, right_shift in zip(
                (first, second), multipliers, right_shifts, strict=True
            ):
                m.d.comb += [
                    scaler.multiplier.eq(multiplier),
                    scaler.right_shift.eq(right_shift),
                ]
        return scalers
