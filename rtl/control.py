"""The NPU's registers, and what starts, stops and counts."""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiLite
from rtl.config import NpuConfig
from rtl.event_counters import EventCounters
from rtl.interfaces import (
    INDEX_BITS,
    BusAttributes,
    BusWatch,
    DoneCounts,
    EngineStatus,
    ErrorReport,
    RegionLookup,
)
from rtl.isa import REGIONS
from rtl.region_table import RegionTable
from rtl.register_bus import RegisterBus
from rtl.registers import (
    DEFAULT_TIMEOUT,
    ID_VALUE,
    TIMEOUT_BITS,
    BusAttribute,
    Event,
    Register,
    counted_events,
    event_counter,
    region_base,
    region_size,
)
from rtl.run_control import RunControl
from rtl.watchdog import Watchdog


class Control(wiring.Component):
    """Registers, run control, error latch, watchdog, interrupt and event counters.

    A start while idle clears everything, then runs until END completes or a fault is latched;
    then `halt` rises, and when the engines and the bus have drained, BUSY falls and the interrupt
    becomes pending (until CLEAR_IRQ, RESET or the next start). START and RESET are ignored while
    BUSY, and so are writes to COMMAND_*, REGION_* and BUS_*. The low three bits of COMMAND_BASE
    and COMMAND_BYTES are always zero. Unmapped addresses read zero and ignore writes.

    A run in which nothing moves for `DEADLOCK_CYCLES` cycles stops with DEADLOCK. When the bus owes
    something and does nothing for BUS_TIMEOUT units, the run stops with BUS_TIMEOUT unless an error
    was there already, and the interrupt comes at once; BUSY stays until the bus has answered.

    Latency: BUSY rises in the cycle after START was written, `start` follows two cycles later.
    Counters count while BUSY, without the first cycle, each event a cycle late. A register access:
    see `RegisterBus`; a counter is found within as many cycles as there are counters.

    Parameters
    ----------
    config : its id is readable.

    Members
    -------
    axil : the registers. irq : interrupt pending and enabled.
    load_region, store_region : lookups of the engines.
    command_base, command_bytes, read_attributes, write_attributes : as written by the driver.
    clear : pulse that empties everything (before a start, at a reset), a register because of its
        many users. start : pulse one cycle after the `clear` of a start.
    busy : STATUS.BUSY. halt : low from `start` until END completes or a fault is latched: while it
        is high, no command or fetch may start.
    done_counts : completed commands per engine.
    load, compute, store : the engines' status.
    load_error, compute_error, store_error, dispatcher_error : faults; in the same cycle the first
        in this order wins.
    reads, writes : the bus, as its users see it.
    finished : END completed. position : index of the command that the dispatcher handles.
    progress : the dispatcher moved a beat. reads_idle : no read burst is unanswered.
    events : bit n counts event n in this cycle; bit CYCLES is ignored.
    """

    axil: Any
    irq: Signal
    load_region: Any
    store_region: Any
    command_base: Signal
    command_bytes: Signal
    read_attributes: Any
    write_attributes: Any
    clear: Signal
    start: Signal
    busy: Signal
    halt: Signal
    done_counts: Any
    load: Any
    compute: Any
    store: Any
    load_error: Any
    compute_error: Any
    store_error: Any
    dispatcher_error: Any
    reads: Any
    writes: Any
    finished: Signal
    position: Signal
    progress: Signal
    reads_idle: Signal
    events: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "axil": In(AxiLite()),
                "irq": Out(1),
                "load_region": In(RegionLookup()),
                "store_region": In(RegionLookup()),
                "command_base": Out(32),
                "command_bytes": Out(32),
                "read_attributes": Out(BusAttributes()),
                "write_attributes": Out(BusAttributes()),
                "clear": Out(1),
                "start": Out(1),
                "busy": Out(1),
                "halt": Out(1),
                "done_counts": Out(DoneCounts()),
                "load": In(EngineStatus()),
                "compute": In(EngineStatus()),
                "store": In(EngineStatus()),
                "load_error": In(ErrorReport()),
                "compute_error": In(ErrorReport()),
                "store_error": In(ErrorReport()),
                "dispatcher_error": In(ErrorReport()),
                "reads": In(BusWatch()),
                "writes": In(BusWatch()),
                "finished": In(1),
                "position": In(INDEX_BITS),
                "progress": In(1),
                "reads_idle": In(1),
                "events": In(len(Event)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.bus = bus = RegisterBus()
        m.submodules.regions = regions = RegionTable()
        m.submodules.counters = counters = EventCounters(self.config.counters)
        m.submodules.watchdog = watchdog = Watchdog()
        m.submodules.run = run = RunControl()
        connect, flipped = wiring.connect, wiring.flipped
        connect(m, flipped(self.axil), bus.axil)
        connect(m, flipped(self.load_region), regions.load)
        connect(m, flipped(self.store_region), regions.store)
        connect(m, flipped(self.reads), watchdog.reads)
        connect(m, flipped(self.writes), watchdog.writes)
        for name in ("load_error", "compute_error", "store_error", "dispatcher_error"):
            connect(m, flipped(getattr(self, name)), getattr(run, name))
        engines = (self.load, self.compute, self.store)
        drained = ~Cat(engine.busy for engine in engines).any() & self.reads_idle
        m.d.comb += [
            watchdog.running.eq(run.running),
            watchdog.drained.eq(drained),
            watchdog.progress.eq(self.progress),
            watchdog.position.eq(self.position),
            run.finished.eq(self.finished),
            run.drained.eq(drained),
            run.deadlock.eq(watchdog.deadlock),
            run.expired.eq(watchdog.expired),
            run.late.eq(watchdog.late),
            run.position.eq(self.position),
            self.busy.eq(run.busy),
            self.clear.eq(run.clear),
            self.start.eq(run.start),
            self.halt.eq(~run.running),
            counters.clear.eq(run.clear),
        ]
        # what happens is known late in a cycle
        happened = Signal(len(Event))
        for event in counted_events(self.config):
            counts = run.busy if event == Event.CYCLES else run.busy & self.events[event]
            m.d.sync += happened[event].eq(counts)
            m.d.comb += counters.events[event].eq(happened[event])
        done = self.done_counts
        for count, engine in zip((done.load, done.compute, done.store), engines, strict=True):
            m.d.sync += count.eq(count + engine.done)
            with m.If(run.clear):
                m.d.sync += count.eq(0)
        self._registers(m, bus, regions, counters, watchdog, run)
        return m

    def _registers(
        self,
        m: Module,
        bus: RegisterBus,
        regions: RegionTable,
        counters: EventCounters,
        watchdog: Watchdog,
        run: RunControl,
    ) -> None:
        """Give the registers their addresses, and their values to those who need them."""
        irq_enable = Signal()
        timeout = Signal(TIMEOUT_BITS, init=DEFAULT_TIMEOUT)
        attributes = Signal(BusAttribute.PROT + len(self.read_attributes.prot))
        words: dict[int, Signal] = {
            Register.COMMAND_BASE: self.command_base,
            Register.COMMAND_BYTES: self.command_bytes,
            Register.BUS_TIMEOUT: timeout,
            Register.BUS_ATTRIBUTES: attributes,
        }
        readable: dict[int, ValueLike] = {
            Register.ID: C(ID_VALUE, 32),
            Register.CONFIG_ID: C(self.config.config_id, 32),
            Register.STATUS: Cat(run.busy, run.done, run.failed, run.irq_pending),
            Register.IRQ_ENABLE: irq_enable,
            Register.ERROR_CODE: run.code,
            Register.ERROR_COMMAND: run.culprit,
            **words,
        }
        self._reads(m, bus, regions, counters, readable)
        self._writes(m, bus, regions, words, run.command, irq_enable)
        m.d.comb += [self.irq.eq(run.irq_pending & irq_enable), watchdog.timeout.eq(timeout)]
        for bus_attributes, cache in (
            (self.read_attributes, BusAttribute.ARCACHE),
            (self.write_attributes, BusAttribute.AWCACHE),
        ):
            m.d.comb += [
                bus_attributes.cache.eq(attributes[cache:]),
                bus_attributes.prot.eq(attributes[BusAttribute.PROT :]),
            ]

    def _reads(
        self,
        m: Module,
        bus: RegisterBus,
        regions: RegionTable,
        counters: EventCounters,
        readable: dict[int, ValueLike],
    ) -> None:
        """Find the value of the register that is looked up, in two steps."""
        plain = Signal(32, reset_less=True)
        region = Signal(32, reset_less=True)
        is_region = Signal(reset_less=True)
        is_count = Signal(reset_less=True)
        m.d.comb += [
            bus.ready.eq(regions.ready),
            regions.read_number.eq(bus.lookup[2:]),
            counters.number.eq(bus.lookup[2:]),
            bus.value.eq(Mux(is_count, counters.value, Mux(is_region, region, plain))),
            bus.found.eq(~is_count | counters.found),
        ]
        m.d.sync += [
            plain.eq(0),
            region.eq(regions.value),
            is_region.eq(0),
            is_count.eq(0),
        ]
        with m.Switch(bus.lookup[2:]):
            for address, value in readable.items():
                with m.Case(address >> 2):
                    m.d.sync += plain.eq(value)
            with m.Case(*(region_base(number) >> 2 for number in range(REGIONS))):
                m.d.sync += is_region.eq(1)
            with m.Case(*(region_size(number) >> 2 for number in range(REGIONS))):
                m.d.sync += is_region.eq(1)
                m.d.comb += regions.read_size.eq(1)
            with m.Case(*(event_counter(event) >> 2 for event in counted_events(self.config))):
                m.d.sync += is_count.eq(1)

    def _writes(
        self,
        m: Module,
        bus: RegisterBus,
        regions: RegionTable,
        words: dict[int, Signal],
        command: Signal,
        irq_enable: Signal,
    ) -> None:
        """Write the register that is addressed; `words` and regions only while not busy."""
        m.d.comb += [
            regions.write_number.eq(bus.address[2:]),
            regions.strobe.eq(bus.strobe),
            regions.data.eq(bus.data),
        ]
        with m.If(bus.write):
            with m.Switch(bus.address[2:]):
                with m.Case(Register.CONTROL >> 2):
                    with m.If(bus.strobe[0]):
                        m.d.comb += command.eq(bus.data)
                with m.Case(Register.IRQ_ENABLE >> 2):
                    with m.If(bus.strobe[0]):
                        m.d.sync += irq_enable.eq(bus.data)
                with m.Case(*(region_base(number) >> 2 for number in range(REGIONS))):
                    m.d.comb += regions.write.eq(~self.busy)
                with m.Case(*(region_size(number) >> 2 for number in range(REGIONS))):
                    m.d.comb += [regions.write.eq(~self.busy), regions.write_size.eq(1)]
                for address, word in words.items():
                    lowest = 3 if address in (Register.COMMAND_BASE, Register.COMMAND_BYTES) else 0
                    with m.Case(address >> 2):
                        for byte in range(-(-len(word) // 8)):
                            low, high = max(8 * byte, lowest), min(8 * byte + 8, len(word))
                            with m.If(bus.strobe[byte] & ~self.busy):
                                m.d.sync += word[low:high].eq(bus.data[low:high])
