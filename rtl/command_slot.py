"""The front of every engine: collects one command and holds it until its dependencies are met."""

from amaranth.hdl import C, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import INDEX_BITS, DoneCounts
from rtl.isa import BEAT_BITS, COMMANDS, WAIT_BITS, Engine


class CommandSlot(wiring.Component):
    """Collect the beats of one command and offer it once its waits are satisfied.

    The dispatcher sends an index beat first, then the command's beats. While an engine executes,
    its slot already collects the next command.

    Latency: the command is offered one cycle after its last beat. Throughput: a command per
    `beats + 2` cycles.

    Parameters
    ----------
    engine : whose commands these are; sets the command lengths.

    Members
    -------
    beats : the engine's queue.
    done : completed commands of all engines.
    halt : while high nothing is offered; collected commands are dropped by `clear`.
    clear : forget everything (soft reset or start).
    valid, ready : handshake of the offered command.
    command : all beats of the command, header first.
    index : its index in the stream.
    waiting : a whole command is held but must wait. empty : not even a part of one is held.
    """

    beats: stream.Interface
    done: wiring.PureInterface
    halt: Signal
    clear: Signal
    valid: Signal
    ready: Signal
    command: Signal
    index: Signal
    waiting: Signal
    empty: Signal

    def __init__(self, engine: Engine) -> None:
        self.lengths = {int(f.opcode): f.beats for f in COMMANDS.values() if f.engine == engine}
        self.max_beats = max(self.lengths.values())
        super().__init__(
            {
                "beats": In(stream.Signature(BEAT_BITS)),
                "done": In(DoneCounts()),
                "halt": In(1),
                "clear": In(1),
                "valid": Out(1),
                "ready": In(1),
                "command": Out(BEAT_BITS * self.max_beats),
                "index": Out(INDEX_BITS),
                "waiting": Out(1),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        position = Signal(range(self.max_beats + 2))
        length = Signal(range(self.max_beats + 1), init=self.max_beats)
        full = Signal()
        satisfied = Signal()
        command = Signal.like(self.command, name="held", reset_less=True)

        m.d.comb += [
            self.command.eq(command),
            self.empty.eq(position == 0),
            self.waiting.eq(full & ~satisfied),
            # only a whole command's waits are ever satisfied
            self.valid.eq(satisfied & ~self.halt),
            self.beats.ready.eq(~full),
        ]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += [position.eq(position + 1), full.eq(position == length)]
            with m.Switch(position):
                with m.Case(0):
                    m.d.sync += self.index.eq(self.beats.payload)
                for beat in range(self.max_beats):
                    with m.Case(beat + 1):
                        m.d.sync += command.word_select(beat, BEAT_BITS).eq(self.beats.payload)
            with m.If(position == 1):
                with m.Switch(self.beats.payload[:8]):
                    for opcode, beats in self.lengths.items():
                        with m.Case(opcode):
                            m.d.sync += length.eq(beats)

        waits = self.command[16 : 16 + 3 * WAIT_BITS]
        met = []
        for number, count in enumerate((self.done.load, self.done.compute, self.done.store)):
            ahead = Signal(WAIT_BITS, name=f"ahead{number}")
            m.d.comb += ahead.eq(count - waits.word_select(number, WAIT_BITS))
            met.append(~ahead[-1])
        # the comparison is registered, so that engines start from a short path
        m.d.sync += satisfied.eq(Mux(full, met[0] & met[1] & met[2], C(0)))

        with m.If((self.valid & self.ready) | self.clear):
            m.d.sync += [
                position.eq(0),
                length.eq(self.max_beats),
                full.eq(0),
                satisfied.eq(0),
            ]
        return m
