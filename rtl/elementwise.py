"""Control and operand path of the elementwise addition."""

from amaranth.hdl import Array, Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS, COMMANDS, Opcode
from rtl.operand_scaler import OperandScaler
from rtl.sequencer import StepLayout


class ElementwiseAdd(wiring.Component):
    """Pair two windows word by word and scale both operands.

    Latency: `OperandScaler.LATENCY + 1` cycles from the word's turn to `valid`. Throughput: one
    word (C elements) per cycle while two windows are present. Never stalls behind that.

    Parameters
    ----------
    config : sets F and C.

    Members
    -------
    enable : the current command is an ADD; `command` holds its fields.
    both_valid, head, next, step : the windows of the two operands, and their step.
    pop_both : both windows are used up in this cycle. issue : a word is taken in this cycle.
    clear : forget everything.
    valid, values, biases, address, last : scaled operands for the requantizer.
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
                "issue": Out(1),
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
        final = Signal()
        m.d.comb += [
            self.issue.eq(self.enable & self.both_valid),
            final.eq(index == self.step.high - 1),
            self.pop_both.eq(self.issue & final),
        ]
        with m.If(self.issue):
            m.d.sync += index.eq(index + 1)
            with m.If(final):
                m.d.sync += index.eq(0)

        words = [Signal(config.lanes * 8, name=f"word{i}") for i in range(2)]
        with m.If(self.issue):
            for word, window in zip(words, (self.head, self.next), strict=True):
                m.d.sync += word.eq(Array(window)[index])

        settings = [
            (
                self.command.ifm_zero_point,
                self.command.ifm_multiplier,
                self.command.ifm_right_shift,
                self.values,
            ),
            (
                self.command.ifm2_zero_point,
                self.command.ifm2_multiplier,
                self.command.ifm2_right_shift,
                self.biases,
            ),
        ]
        scalers = []
        for i, (zero_point, multiplier, right_shift, result) in enumerate(settings):
            for c in range(config.lanes):
                scaler = OperandScaler()
                scalers.append(scaler)
                m.submodules[f"scaler{i}_{c}"] = scaler
                m.d.comb += [
                    scaler.operand.eq(words[i].word_select(c, 8)),
                    scaler.zero_point.eq(zero_point),
                    scaler.multiplier.eq(multiplier),
                    scaler.right_shift.eq(right_shift),
                    result[c].eq(scaler.output),
                ]

        delay = OperandScaler.LATENCY + 1
        valids = [self.issue] + [Signal(name=f"valid{i}") for i in range(delay)]
        lasts = [Signal(name=f"last{i}") for i in range(delay + 1)]
        addresses = [Signal(ADDRESS_BITS, name=f"address{i}") for i in range(delay + 1)]
        m.d.comb += [
            lasts[0].eq(self.pop_both & self.step.command_last),
            addresses[0].eq(self.step.ofm_address + index),
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
            m.d.sync += index.eq(0)
        return m
