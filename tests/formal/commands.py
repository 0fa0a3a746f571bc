"""Commands: none is offered to its engine before everything that it waits for is done."""

from amaranth.hdl import Signal

from rtl.command_slot import CommandSlot
from rtl.isa import WAIT_BITS, Engine
from tests.formal.proof import Assert, Assume, Bench, Proof, past

ENGINES = ("load", "compute", "store")


def waits() -> Bench:
    """A command is offered only when each engine has completed as many commands as it says.

    Counts wrap: that one is not behind another is the sign of their difference, as long as engines
    are at most half the range apart, which the assembler of programs sees to.
    """
    bench = Bench()
    m = bench.m
    m.submodules.dut = dut = CommandSlot(Engine.STORE)
    bench.drive(dut.beats.valid, dut.beats.payload, dut.ready, dut.halt, dut.clear)
    fields = dut.command[16 : 16 + 3 * WAIT_BITS]
    full = bench.probe("full", 1)
    satisfied = bench.probe("satisfied", 1)
    for number, name in enumerate(ENGINES):
        count = getattr(dut.done, name)
        advance = bench.free(1, f"advance_{name}")
        done = Signal(WAIT_BITS, name=f"done_{name}")
        m.d.sync += done.eq(done + advance)
        m.d.comb += count.eq(done)
        behind = (count - fields.word_select(number, WAIT_BITS))[:WAIT_BITS]
        # an engine never completes half the range of counts beyond what a command waits for
        m.d.comb += Assume((behind != (1 << WAIT_BITS - 1) - 1) | ~advance)
        with m.If(dut.valid):
            m.d.comb += Assert(~behind[-1])
        with m.If(satisfied):
            m.d.comb += [Assert(full), Assert(~behind[-1])]
    return bench


def offered() -> Bench:
    """An offered command stays as it is until it is taken, halted or cleared."""
    bench = Bench()
    m = bench.m
    m.submodules.dut = dut = CommandSlot(Engine.STORE)
    bench.drive(dut.beats.valid, dut.beats.payload, dut.ready, dut.halt, dut.clear)
    full, satisfied = bench.probe("full", 1), bench.probe("satisfied", 1)
    with m.If(satisfied):
        m.d.comb += Assert(full)
    kept = past(bench, dut.valid & ~dut.ready & ~dut.clear, "kept")
    command, index = (
        past(bench, dut.command, "command_before"),
        past(bench, dut.index, "index_before"),
    )
    with m.If(kept):
        m.d.comb += [Assert(dut.command == command), Assert(dut.index == index)]
    return bench


PROOFS = (
    Proof(
        "rtl.command_slot.CommandSlot",
        "no command is offered before its waits are met; counts are less than half a range apart",
        waits,
        ("satisfied", "dut.full"),
    ),
    Proof(
        "rtl.command_slot.CommandSlot",
        "an offered command and its index stay until it is taken",
        offered,
        ("beats__ready", "1'1"),
    ),
)
