"""Executes LOAD: external memory -> scratchpad, weight buffer or parameter buffer."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.interfaces import (
    REGION_TABLE,
    DoneCounts,
    EngineStatus,
    ErrorReport,
    ParameterWrite,
    ReadClient,
    ScratchpadWrite,
    WeightWrite,
)
from rtl.isa import BEAT_BITS
from rtl.read_manager import LOAD_TAG_BITS


class LoadEngine(wiring.Component):
    """Execute LOAD commands; the address side runs ahead into the following commands.

    Members
    -------
    beats : its queue. done_counts, halt, clear, regions : from the control block.
    read : towards the read manager.
    scratchpad, weights, parameters : the destinations.
    status, error : to the control block.
    """

    beats: Any
    done_counts: Any
    halt: Signal
    clear: Signal
    regions: Any
    read: Any
    scratchpad: Any
    weights: Any
    parameters: Any
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
                "read": Out(ReadClient(config, LOAD_TAG_BITS)),
                "scratchpad": Out(ScratchpadWrite(config)),
                "weights": Out(WeightWrite(config)),
                "parameters": Out(ParameterWrite(config)),
                "status": Out(EngineStatus()),
                "error": Out(ErrorReport()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        return Module()
