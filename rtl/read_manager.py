"""Shares the AXI read channels between the command fetcher and the load engine."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.axi import AxiRead
from rtl.config import NpuConfig
from rtl.interfaces import INDEX_BITS, ReadClient

LOAD_TAG_BITS = INDEX_BITS + 1
"""The load engine's bursts carry their command's index and whether they end a row."""


class ReadManager(wiring.Component):
    """Issue bursts for two clients and hand every beat back to the burst's owner.

    Members
    -------
    fetch, load : the clients; fetch has priority. axi : the bus.
    idle : no burst is waiting, issued or unanswered.
    """

    fetch: Any
    load: Any
    axi: Any
    idle: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "fetch": In(ReadClient(config, 0)),
                "load": In(ReadClient(config, LOAD_TAG_BITS)),
                "axi": Out(AxiRead(config)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        return Module()
