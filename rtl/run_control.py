"""What starts and stops a run: its state, the error latch and the interrupt."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import INDEX_BITS, ErrorReport
from rtl.registers import Control, ErrorCode


class RunControl(wiring.Component):
    """Run from a start until END completes or a fault is latched, and wait for what is under way.

    A start while idle clears everything, then `running` is high until the end; when all has
    `drained`, `busy` falls and the interrupt becomes pending (until CLEAR_IRQ, RESET or the next
    start). A bus that stays silent is an error, too, unless there was one, and then the interrupt
    comes at once while `busy` stays. START and RESET are ignored while `busy`.

    Latency: `busy` in the cycle after a start, `clear` one later, `start` two. `clear` and
    `running` are registers because of their many users.

    Members
    -------
    command : bits of CONTROL that are written, pulses.
    load_error, compute_error, store_error, dispatcher_error : faults; in the same cycle the first
        in this order wins, and any of them before `expired` and `deadlock`.
    finished : END completed. drained : engines and bus are idle.
    deadlock, expired, late : from the watchdog. position : where the dispatcher is.
    busy, done, failed, irq_pending : for STATUS. code, culprit : for ERROR_*.
    clear : pulse that empties everything (before a start, at a reset). start : pulse.
    running : from `start` on.
    """

    command: Signal
    load_error: Any
    compute_error: Any
    store_error: Any
    dispatcher_error: Any
    finished: Signal
    drained: Signal
    deadlock: Signal
    expired: Signal
    late: Signal
    position: Signal
    busy: Signal
    done: Signal
    failed: Signal
    irq_pending: Signal
    code: Signal
    culprit: Signal
    clear: Signal
    start: Signal
    running: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "command": In(len(Control)),
                "load_error": In(ErrorReport()),
                "compute_error": In(ErrorReport()),
                "store_error": In(ErrorReport()),
                "dispatcher_error": In(ErrorReport()),
                "finished": In(1),
                "drained": In(1),
                "deadlock": In(1),
                "expired": In(1),
                "late": In(INDEX_BITS),
                "position": In(INDEX_BITS),
                "busy": Out(1),
                "done": Out(1),
                "failed": Out(1),
                "irq_pending": Out(1),
                "code": Out(ErrorCode),
                "culprit": Out(INDEX_BITS),
                "clear": Out(1),
                "start": Out(1),
                "running": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        write_start, write_clear_irq, write_reset = self.command
        faults = (self.load_error, self.compute_error, self.store_error, self.dispatcher_error)
        # a fault and its command are found late in a cycle; END never completes before the next
        hit = Signal()
        code = Signal(ErrorCode, reset_less=True)
        culprit = Signal(INDEX_BITS, reset_less=True)
        m.d.sync += hit.eq(Cat(fault.valid for fault in faults).any())
        for fault in reversed(faults):
            with m.If(fault.valid):
                m.d.sync += [code.eq(fault.code), culprit.eq(fault.command)]
        silence = [self.code.eq(ErrorCode.BUS_TIMEOUT), self.culprit.eq(self.late)]
        with m.FSM() as fsm:
            with m.State("IDLE"):
                with m.If(write_start):
                    m.next = "CLEAR"
                with m.Elif(write_reset):
                    m.next = "RESET"
            with m.State("CLEAR"):
                m.next = "CLEARED"
            with m.State("CLEARED"):
                m.d.sync += self.running.eq(1)
                m.next = "START"
            with m.State("START"):
                m.next = "RUN"
            with m.State("RUN"):
                with m.If(Cat(self.finished, self.deadlock, self.expired, hit).any()):
                    m.d.sync += self.running.eq(0)
                    m.next = "STOP"
                with m.If(self.deadlock):
                    m.d.sync += [
                        self.code.eq(ErrorCode.DEADLOCK),
                        self.culprit.eq(self.position),
                    ]
                with m.If(self.expired):
                    m.d.sync += silence
                with m.If(hit):
                    m.d.sync += [self.code.eq(code), self.culprit.eq(culprit)]
            with m.State("STOP"):
                with m.If(self.drained):
                    m.d.sync += [
                        self.done.eq(self.code == ErrorCode.NONE),
                        self.failed.eq(self.code != ErrorCode.NONE),
                        self.irq_pending.eq(1),
                    ]
                    m.next = "IDLE"
                with m.Elif(self.expired):
                    with m.If(self.code == ErrorCode.NONE):
                        m.d.sync += silence
                    m.d.sync += [self.failed.eq(1), self.irq_pending.eq(1)]
                    m.next = "SILENT"
            with m.State("SILENT"):
                with m.If(self.drained):
                    m.next = "IDLE"
            with m.State("RESET"):
                m.next = "IDLE"
        m.d.comb += [
            self.busy.eq(~(fsm.ongoing("IDLE") | fsm.ongoing("RESET"))),
            self.start.eq(fsm.ongoing("START")),
        ]
        # STATUS shows nothing of the run before as soon as it shows BUSY
        clearing = fsm.ongoing("CLEAR") | fsm.ongoing("RESET")
        m.d.sync += self.clear.eq(clearing)
        with m.If(write_clear_irq & ~fsm.ongoing("STOP")):
            m.d.sync += self.irq_pending.eq(0)
        with m.If(clearing):
            m.d.sync += [
                self.code.eq(ErrorCode.NONE),
                self.culprit.eq(0),
                self.done.eq(0),
                self.failed.eq(0),
                self.irq_pending.eq(0),
            ]
        return m
