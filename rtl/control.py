"""The AXI4-Lite registers, and what starts, stops and counts."""

from typing import Any

from amaranth.hdl import C, Cat, Module, Mux, Signal, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiLite
from rtl.config import NpuConfig
from rtl.interfaces import INDEX_BITS, DoneCounts, EngineStatus, ErrorReport, RegionEntry
from rtl.isa import REGIONS
from rtl.registers import (
    ID_VALUE,
    ErrorCode,
    Event,
    Register,
    event_counter,
    region_base,
    region_size,
)
from rtl.registers import Control as ControlBit

DEADLOCK_CYCLES = 1024


class Control(wiring.Component):
    """Registers, run control, error latch, watchdog, interrupt and event counters.

    A start while idle clears everything, then runs until END completes or a fault is latched;
    then `halt` rises, and when the engines and the bus have drained, BUSY falls and the interrupt
    becomes pending (until CLEAR_IRQ, RESET or the next start). START and RESET are ignored while
    BUSY, and so are writes to COMMAND_* and REGION_*. The low three bits of COMMAND_BASE and
    COMMAND_BYTES are always zero. Unmapped addresses read zero and ignore writes.

    A run in which nothing moves for `DEADLOCK_CYCLES` cycles stops with DEADLOCK.

    Latency: BUSY rises in the cycle after START was written, `start` follows one cycle later; a
    register access is answered in the next cycle. Counters count while BUSY, without the first
    cycle. Throughput: an access every two cycles.

    Parameters
    ----------
    config : its id is readable.

    Members
    -------
    axil : the registers. irq : interrupt pending and enabled.
    regions, command_base, command_bytes : as written by the driver.
    clear : pulse that empties everything (before a start, at a reset). start : pulse one cycle
        after the `clear` of a start. busy : STATUS.BUSY. halt : low from `start` until END
        completes or a fault is latched: while it is high, no command or fetch may start.
    done_counts : completed commands per engine.
    load, compute, store : the engines' status.
    load_error, compute_error, store_error, dispatcher_error : faults; in the same cycle the first
        in this order wins.
    finished : END completed. position : index of the command that the dispatcher handles.
    progress : the dispatcher moved a beat. reads_idle : no read burst is unanswered.
    events : bit n counts event n in this cycle; bit CYCLES is ignored.
    """

    axil: Any
    irq: Signal
    regions: Any
    command_base: Signal
    command_bytes: Signal
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
                "regions": Out(RegionEntry()).array(REGIONS),
                "command_base": Out(32),
                "command_bytes": Out(32),
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
                "finished": In(1),
                "position": In(INDEX_BITS),
                "progress": In(1),
                "reads_idle": In(1),
                "events": In(len(Event)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = Signal(len(ControlBit))
        write_start, write_clear_irq, write_reset = command
        status = Signal(32)
        error_code = Signal(ErrorCode)
        error_command = Signal(INDEX_BITS)
        irq_pending = Signal()
        irq_enable = Signal()
        done = Signal()
        failed = Signal()
        m.d.comb += [
            self.irq.eq(irq_pending & irq_enable),
            status.eq(Cat(self.busy, done, failed, irq_pending)),
        ]

        counters = [Signal(32, name=f"count_{event.name.lower()}") for event in Event]
        readable: dict[int, ValueLike] = {
            Register.ID: C(ID_VALUE, 32),
            Register.CONFIG_ID: C(self.config.config_id, 32),
            Register.STATUS: status,
            Register.IRQ_ENABLE: irq_enable,
            Register.ERROR_CODE: error_code,
            Register.ERROR_COMMAND: error_command,
        }
        writable: dict[int, Signal] = {
            Register.COMMAND_BASE: self.command_base,
            Register.COMMAND_BYTES: self.command_bytes,
        }
        for number in range(REGIONS):
            writable[region_base(number)] = self.regions[number].base
            writable[region_size(number)] = self.regions[number].size
        for event, counter in zip(Event, counters, strict=True):
            readable[event_counter(event)] = counter
        self._bus(m, {**readable, **writable}, writable, command, irq_enable)

        faults = (self.load_error, self.compute_error, self.store_error, self.dispatcher_error)
        quiet = Signal()
        drained = Signal()
        watchdog = Signal(range(DEADLOCK_CYCLES + 1))
        running = Signal()
        m.d.comb += [
            drained.eq(~(self.load.busy | self.compute.busy | self.store.busy) & self.reads_idle),
            quiet.eq(running & drained & ~self.progress),
            self.halt.eq(~running),
        ]
        m.d.sync += watchdog.eq(Mux(quiet, watchdog + 1, 0))

        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(write_start):
                    m.next = "CLEAR"
                with m.Elif(write_reset):
                    m.next = "RESET"
            with m.State("CLEAR"):
                m.next = "START"
            with m.State("START"):
                m.next = "RUN"
            with m.State("RUN"):
                with m.If(self.finished):
                    m.next = "STOP"
                with m.If(watchdog == DEADLOCK_CYCLES):
                    m.d.sync += [
                        error_code.eq(ErrorCode.DEADLOCK),
                        error_command.eq(self.position),
                    ]
                    m.next = "STOP"
                for fault in reversed(faults):
                    with m.If(fault.valid):
                        m.d.sync += [error_code.eq(fault.code), error_command.eq(fault.command)]
                        m.next = "STOP"
            with m.State("STOP"):
                with m.If(drained):
                    m.d.sync += [
                        done.eq(error_code == ErrorCode.NONE),
                        failed.eq(error_code != ErrorCode.NONE),
                        irq_pending.eq(1),
                    ]
                    m.next = "IDLE"
            with m.State("RESET"):
                m.next = "IDLE"
        m.d.comb += [
            self.busy.eq(~(fsm.ongoing("IDLE") | fsm.ongoing("RESET"))),
            self.clear.eq(fsm.ongoing("CLEAR") | fsm.ongoing("RESET")),
            self.start.eq(fsm.ongoing("START")),
            running.eq(fsm.ongoing("START") | fsm.ongoing("RUN")),
        ]

        with m.If(write_clear_irq & ~fsm.ongoing("STOP")):
            m.d.sync += irq_pending.eq(0)
        for count, engine in (
            (self.done_counts.load, self.load),
            (self.done_counts.compute, self.compute),
            (self.done_counts.store, self.store),
        ):
            m.d.sync += count.eq(count + engine.done)
        for event, counter in zip(Event, counters, strict=True):
            happened = self.busy if event == Event.CYCLES else self.busy & self.events[event]
            m.d.sync += counter.eq(counter + happened)
        with m.If(self.clear):
            m.d.sync += [
                *(counter.eq(0) for counter in counters),
                self.done_counts.load.eq(0),
                self.done_counts.compute.eq(0),
                self.done_counts.store.eq(0),
                error_code.eq(ErrorCode.NONE),
                error_command.eq(0),
                done.eq(0),
                failed.eq(0),
                irq_pending.eq(0),
            ]
        return m

    def _bus(
        self,
        m: Module,
        readable: dict[int, ValueLike],
        writable: dict[int, Signal],
        command: Signal,
        irq_enable: Signal,
    ) -> None:
        """One write and one read at a time; each is answered in the cycle after it was taken."""
        axil = self.axil
        write = Signal()
        read = Signal()
        m.d.comb += [
            write.eq(axil.awvalid & axil.wvalid & ~axil.bvalid),
            axil.awready.eq(write),
            axil.wready.eq(write),
            read.eq(axil.arvalid & ~axil.rvalid),
            axil.arready.eq(read),
        ]
        with m.If(axil.bready):
            m.d.sync += axil.bvalid.eq(0)
        with m.If(write):
            m.d.sync += axil.bvalid.eq(1)
            with m.Switch(axil.awaddr[2:]):
                with m.Case(Register.CONTROL >> 2):
                    with m.If(axil.wstrb[0]):
                        m.d.comb += command.eq(axil.wdata)
                with m.Case(Register.IRQ_ENABLE >> 2):
                    with m.If(axil.wstrb[0]):
                        m.d.sync += irq_enable.eq(axil.wdata)
                for address, register in writable.items():
                    words_only = address in (Register.COMMAND_BASE, Register.COMMAND_BYTES)
                    with m.Case(address >> 2):
                        with m.If(~self.busy):
                            for byte in range(4):
                                low = 3 if words_only and byte == 0 else 8 * byte
                                with m.If(axil.wstrb[byte]):
                                    m.d.sync += register[low : 8 * byte + 8].eq(
                                        axil.wdata[low : 8 * byte + 8]
                                    )
        with m.If(axil.rready):
            m.d.sync += axil.rvalid.eq(0)
        with m.If(read):
            m.d.sync += [axil.rvalid.eq(1), axil.rdata.eq(0)]
            with m.Switch(axil.araddr[2:]):
                for address, value in readable.items():
                    with m.Case(address >> 2):
                        m.d.sync += axil.rdata.eq(value)
