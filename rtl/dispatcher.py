"""Decodes the command stream and hands every command to its engine's queue."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.fifo import StreamFifo
from rtl.interfaces import FETCHED_WORD, INDEX_BITS, ErrorReport
from rtl.isa import BEAT_BITS, COMMANDS, HEADER, MAX_BEATS, Engine, Opcode
from rtl.registers import ErrorCode


class Dispatcher(wiring.Component):
    """Check each command's header and reserved bits and queue it for its engine.

    Command 0, and no other, must be CONFIG. Nothing of a faulty beat or of what follows it is
    queued, so an engine never sees a whole faulty command. END completes when all engines and
    queues are idle.

    Latency: a command's index beat is queued two cycles after its header could be taken.
    Throughput: a command of n beats takes n + 2 cycles. Stalls: a full queue holds the stream.

    Parameters
    ----------
    config : the configuration id, the queues' depth.

    Members
    -------
    start : begin with command 0. halt : stop decoding. clear : empty the queues, stop.
    words, exhausted : from the command fetch.
    load, compute, store : the queues' outputs: an index beat, then the command's beats.
    engines_idle : all engines report idle.
    error : a fault. finished : pulse when END completes.
    index : index of the command being decoded. progress : a beat moved in this cycle.
    """

    start: Signal
    halt: Signal
    clear: Signal
    words: Any
    exhausted: Signal
    load: Any
    compute: Any
    store: Any
    engines_idle: Signal
    error: Any
    finished: Signal
    index: Signal
    progress: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        queue = stream.Signature(BEAT_BITS)
        super().__init__(
            {
                "start": In(1),
                "halt": In(1),
                "clear": In(1),
                "words": In(stream.Signature(FETCHED_WORD)),
                "exhausted": In(1),
                "load": Out(queue),
                "compute": Out(queue),
                "store": Out(queue),
                "engines_idle": In(1),
                "error": Out(ErrorReport()),
                "finished": Out(1),
                "index": Out(INDEX_BITS),
                "progress": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        queues = {}
        for engine, output in (
            (Engine.LOAD, self.load),
            (Engine.COMPUTE, self.compute),
            (Engine.STORE, self.store),
        ):
            queue = StreamFifo(BEAT_BITS, self.config.queue_beats)
            m.submodules[engine.name.lower()] = queues[engine] = queue
            wiring.connect(m, queue.o, wiring.flipped(output))

        word = self.words.payload
        header = data.View(data.StructLayout(HEADER), word.beat)
        opcode = Signal(8)
        target = Signal(Engine)
        beats_left = Signal(range(MAX_BEATS + 1))
        position = Signal(range(MAX_BEATS))
        fault = Signal(ErrorCode)
        item = Signal(BEAT_BITS)
        push = Signal()
        ready = Signal()
        with m.Switch(target):
            for engine, queue in queues.items():
                m.d.comb += queue.i.payload.eq(item)
                with m.Case(engine):
                    m.d.comb += [ready.eq(queue.i.ready), queue.i.valid.eq(push)]
            with m.Default():
                m.d.comb += ready.eq(1)

        reserved = Signal(BEAT_BITS)
        self._reserved_bits(m, opcode, position, reserved)
        m.d.comb += [
            self.error.code.eq(fault),
            self.error.command.eq(self.index),
            self.progress.eq(
                (self.words.valid & self.words.ready)
                | Cat(
                    (q.o.valid & q.o.ready) | (q.i.valid & q.i.ready) for q in queues.values()
                ).any()
            ),
        ]

        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.next = "DECODE"
            with m.State("DECODE"):
                m.d.sync += [opcode.eq(header.opcode), position.eq(0), fault.eq(ErrorCode.NONE)]
                with m.Switch(header.opcode):
                    for number, command in COMMANDS.items():
                        with m.Case(number):
                            m.d.sync += [target.eq(command.engine), beats_left.eq(command.beats)]
                    with m.Default():
                        m.d.sync += fault.eq(ErrorCode.ILLEGAL_OPCODE)
                with m.If((header.opcode == Opcode.CONFIG) != (self.index == 0)):
                    with m.If(header.opcode.matches(*COMMANDS)):
                        m.d.sync += fault.eq(ErrorCode.CONFIG_MISMATCH)
                with m.If(self.words.valid & word.error):
                    m.d.sync += fault.eq(ErrorCode.FETCH_BUS)
                with m.If(self.exhausted):
                    m.d.sync += fault.eq(ErrorCode.TRUNCATED_STREAM)
                with m.If((self.words.valid | self.exhausted) & ~self.halt):
                    m.next = "INDEX"
            with m.State("INDEX"):
                m.d.comb += [item.eq(self.index), push.eq((fault == ErrorCode.NONE) & ~self.halt)]
                with m.If(fault != ErrorCode.NONE):
                    m.next = "FAULT"
                with m.Elif(push & ready):
                    m.next = "BODY"
            with m.State("BODY"):
                with m.If(self.exhausted):
                    m.d.sync += fault.eq(ErrorCode.TRUNCATED_STREAM)
                    m.next = "FAULT"
                with m.Elif(self.words.valid & ~self.halt):
                    with m.If(word.error):
                        m.d.sync += fault.eq(ErrorCode.FETCH_BUS)
                        m.next = "FAULT"
                    with m.Elif((word.beat & reserved).any()):
                        m.d.sync += fault.eq(ErrorCode.ILLEGAL_FIELD)
                        m.next = "FAULT"
                    with m.Elif(self._mismatch(opcode, position, word.beat)):
                        m.d.sync += fault.eq(ErrorCode.CONFIG_MISMATCH)
                        m.next = "FAULT"
                    with m.Else():
                        m.d.comb += [item.eq(word.beat), push.eq(1), self.words.ready.eq(ready)]
                with m.If(self.words.ready):
                    m.d.sync += [position.eq(position + 1), beats_left.eq(beats_left - 1)]
                    with m.If(beats_left == 1):
                        with m.If(opcode == Opcode.END):
                            m.next = "END"
                        with m.Else():
                            m.d.sync += self.index.eq(self.index + 1)
                            m.next = "DECODE"
            with m.State("FAULT"):
                m.d.comb += self.error.valid.eq(1)
                m.next = "IDLE"
            with m.State("END"):
                m.d.comb += self.finished.eq(
                    self.engines_idle & ~Cat(q.o.valid for q in queues.values()).any() & ~self.halt
                )
                with m.If(self.finished):
                    m.next = "IDLE"
        cleared: Elaboratable = ResetInserter(self.clear)(m)
        return cleared

    def _reserved_bits(self, m: Module, opcode: Signal, position: Signal, reserved: Signal) -> None:
        """Bits of the beat at `position` that no field of the command uses, and its flags."""
        with m.Switch(Cat(position, opcode)):
            for number, command in COMMANDS.items():
                unused = sum(
                    (1 << member.width) - 1 << member.offset
                    for name, member in command.layout
                    if name == "flags" or name not in (*command.fields, "opcode")
                )
                for beat in range(command.beats):
                    mask = unused >> beat * BEAT_BITS & (1 << BEAT_BITS) - 1
                    if mask:
                        with m.Case(number << len(position) | beat):
                            m.d.comb += reserved.eq(mask)

    def _mismatch(self, opcode: Signal, position: Signal, beat: Value) -> Value:
        """The beat holds a configuration id that is not this hardware's."""
        field = COMMANDS[Opcode.CONFIG].layout["config_id"]
        number, low = divmod(field.offset, BEAT_BITS)
        return (
            (opcode == Opcode.CONFIG)
            & (position == number)
            & (beat[low : low + field.width] != self.config.config_id)
        )
