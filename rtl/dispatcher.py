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


def _id_place() -> tuple[int, int, int]:
    """Where CONFIG has the configuration's id: number of the beat, lowest bit, width."""
    field = COMMANDS[Opcode.CONFIG].layout["config_id"]
    return *divmod(field.offset, BEAT_BITS), field.width


_ID_PLACE = _id_place()

_DIGIT = 4
"""Bits of a beat that are checked together before a register: all at once takes long."""


class Dispatcher(wiring.Component):
    """Check each command's header and reserved bits and queue it for its engine.

    Command 0, and no other, must be CONFIG. Nothing of a faulty beat or of what follows it is
    queued, so an engine never sees a whole faulty command. END completes when all engines and
    queues are idle.

    Beats are registered between the check and the queue.

    Latency: a command's index beat is queued three cycles after its header could be taken.
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
        # a beat on its way into the queue, and whether it ends a command
        item = Signal(BEAT_BITS, reset_less=True)
        pending = Signal()
        last = Signal()
        taken = Signal()
        wrong = self._check(m, taken, opcode, position)
        push = Signal()
        ready = Signal()
        m.d.sync += [pending.eq(0), last.eq(0)]
        m.d.comb += push.eq(pending & (wrong == ErrorCode.NONE))
        with m.Switch(target):
            for engine, queue in queues.items():
                m.d.comb += queue.i.payload.eq(item)
                with m.Case(engine):
                    full = queue.level == queue.depth
                    m.d.comb += [
                        ready.eq(~full & ~(pending & (queue.level == queue.depth - 1))),
                        queue.i.valid.eq(push),
                    ]
            with m.Default():
                m.d.comb += ready.eq(1)

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
                is_first = (self.index == 0) & ~last
                with m.If((header.opcode == Opcode.CONFIG) != is_first):
                    with m.If(header.opcode.matches(*COMMANDS)):
                        m.d.sync += fault.eq(ErrorCode.CONFIG_MISMATCH)
                with m.If(self.words.valid & word.error):
                    m.d.sync += fault.eq(ErrorCode.FETCH_BUS)
                with m.If(self.exhausted):
                    m.d.sync += fault.eq(ErrorCode.TRUNCATED_STREAM)
                with m.If((self.words.valid | self.exhausted) & ~self.halt):
                    m.next = "INDEX"
                with m.If(last & (wrong == ErrorCode.NONE)):
                    m.d.sync += self.index.eq(self.index + 1)
                self._stop_at_fault(m, wrong, fault)
            with m.State("INDEX"):
                m.d.sync += item.eq(self.index)
                with m.If(fault != ErrorCode.NONE):
                    m.next = "FAULT"
                with m.Elif(ready & ~self.halt):
                    m.d.sync += pending.eq(1)
                    m.next = "BODY"
            with m.State("BODY"):
                m.d.comb += self.words.ready.eq(ready & ~self.halt)
                m.d.sync += item.eq(word.beat)
                with m.If(self.exhausted):
                    m.d.sync += fault.eq(ErrorCode.TRUNCATED_STREAM)
                    m.next = "FAULT"
                m.d.comb += taken.eq(self.words.valid & self.words.ready)
                with m.If(taken):
                    m.d.sync += [
                        pending.eq(1),
                        position.eq(position + 1),
                        beats_left.eq(beats_left - 1),
                    ]
                    with m.If(beats_left == 1):
                        m.d.sync += last.eq(1)
                        m.next = "DECODE"
                        with m.If(opcode == Opcode.END):
                            m.next = "END"
                self._stop_at_fault(m, wrong, fault)
            with m.State("FAULT"):
                m.d.comb += self.error.valid.eq(1)
                m.next = "IDLE"
            with m.State("END"):
                queued = Cat(queue.o.valid for queue in queues.values()).any()
                m.d.comb += self.finished.eq(self.engines_idle & ~queued & ~pending & ~self.halt)
                with m.If(self.finished):
                    m.next = "IDLE"
                self._stop_at_fault(m, wrong, fault)
        cleared: Elaboratable = ResetInserter(self.clear)(m)
        return cleared

    @staticmethod
    def _stop_at_fault(m: Module, wrong: Signal, fault: Signal) -> None:
        """In a state: give up when the beat taken before was wrong."""
        with m.If(wrong != ErrorCode.NONE):
            m.d.sync += fault.eq(wrong)
            m.next = "FAULT"

    def _check(self, m: Module, taken: Signal, opcode: Signal, position: Signal) -> Signal:
        """What is wrong with the beat of a command's body that was taken in the cycle before."""
        word = self.words.payload
        # in which of its digits something is wrong, and whether it could not be read
        illegal = Signal(BEAT_BITS // _DIGIT, reset_less=True)
        foreign = Signal(BEAT_BITS // _DIGIT, reset_less=True)
        unread = Signal(reset_less=True)
        m.d.sync += [illegal.eq(0), foreign.eq(0), unread.eq(0)]
        with m.If(taken):
            m.d.sync += [
                unread.eq(word.error),
                illegal.eq(self._illegal(m, word.beat, opcode, position)),
                foreign.eq(self._foreign(word.beat, opcode, position)),
            ]
        wrong = Signal(ErrorCode)
        with m.If(unread):
            m.d.comb += wrong.eq(ErrorCode.FETCH_BUS)
        with m.Elif(illegal.any()):
            m.d.comb += wrong.eq(ErrorCode.ILLEGAL_FIELD)
        with m.Elif(foreign.any()):
            m.d.comb += wrong.eq(ErrorCode.CONFIG_MISMATCH)
        return wrong

    def _foreign(self, beat: Value, opcode: Signal, position: Signal) -> Value:
        """Digits of the beat at `position` that say it is for another configuration."""
        id_beat, low, width = _ID_PLACE
        here = (opcode == Opcode.CONFIG) & (position == id_beat)
        wanted = self.config.config_id << low
        covered = (1 << width) - 1 << low
        return Cat(
            here & (beat[i : i + _DIGIT] & (covered >> i) != (wanted >> i) & ((1 << _DIGIT) - 1))
            for i in range(0, BEAT_BITS, _DIGIT)
        )

    def _illegal(self, m: Module, beat: Value, opcode: Signal, position: Signal) -> Value:
        """Digits of the beat at `position` with bits that no field of the command uses."""
        reserved = Signal(BEAT_BITS)
        # known to be one of them
        with m.Switch(Cat(position, opcode[: max(COMMANDS).bit_length()])):
            for number, command in COMMANDS.items():
                unused = sum(
                    (1 << member.width) - 1 << member.offset
                    for name, member in command.layout
                    if name == "flags" or name not in (*command.fields, "opcode")
                )
                for at in range(command.beats):
                    mask = unused >> at * BEAT_BITS & (1 << BEAT_BITS) - 1
                    if mask:
                        with m.Case(number << len(position) | at):
                            m.d.comb += reserved.eq(mask)
        return Cat(
            (beat[i : i + _DIGIT] & reserved[i : i + _DIGIT]).any()
            for i in range(0, BEAT_BITS, _DIGIT)
        )
