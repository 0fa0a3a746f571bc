"""The AXI4-Lite registers, and what starts, stops and counts."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiLite
from rtl.config import NpuConfig
from rtl.interfaces import INDEX_BITS, REGION_TABLE, DoneCounts, EngineStatus, ErrorReport
from rtl.registers import Event


class Control(wiring.Component):
    """Registers, run control, error latch, watchdog, interrupt and event counters.

    Members
    -------
    axil : the registers. irq : interrupt pending and enabled.
    regions, command_base, command_bytes : as written by the driver.
    clear : pulse that empties everything (before a start, at a reset). start : pulse one cycle
        after the `clear` of a start. busy : STATUS.BUSY. halt : a fault was latched.
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
                "regions": Out(REGION_TABLE),
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
        return Module()
