"""Executes STORE: scratchpad -> external memory."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiWrite
from rtl.config import NpuConfig
from rtl.interfaces import (
    REGION_TABLE,
    DoneCounts,
    EngineStatus,
    ErrorReport,
    ScratchpadRead,
)
from rtl.isa import BEAT_BITS


class StoreEngine(wiring.Component):
    """Execute STORE commands.

    Members
    -------
    beats : its queue. done_counts, halt, clear, regions : from the control block.
    scratchpad : the source. axi : the bus; this engine alone writes.
    status, error : to the control block. `status.busy` covers unanswered bursts.
    """

    beats: Any
    done_counts: Any
    halt: Signal
    clear: Signal
    regions: Any
    scratchpad: Any
    axi: Any
    status: Any
    error: Any

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "beats": In(stream.Signature(BEAT_BITS)),
                "done_counts": In(DoneCounts()),
                "halt": In(1),
                "clear": In(1),
                "regions": In(REGION_TABLE),
                "scratchpad": Out(ScratchpadRead(config)),
                "axi": Out(AxiWrite(config)),
                "status": Out(EngineStatus()),
                "error": Out(ErrorReport()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        return Module()
