"""Reads the command stream ahead of the dispatcher."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.interfaces import FETCHED_WORD, ReadClient


class CommandFetch(wiring.Component):
    """Prefetch the command stream as 64-bit words.

    Members
    -------
    start : begin with the stream of `size` bytes at bus address `base` (multiples of 8, sampled).
    halt : issue no more bursts. clear : forget everything (only while `idle`).
    read : towards the read manager. words : the stream.
    exhausted : every word of the stream was taken. idle : no burst is wanted or unanswered.
    """

    start: Signal
    base: Signal
    size: Signal
    halt: Signal
    clear: Signal
    read: Any
    words: Any
    exhausted: Signal
    idle: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "base": In(32),
                "size": In(32),
                "halt": In(1),
                "clear": In(1),
                "read": Out(ReadClient(config, 0)),
                "words": Out(stream.Signature(FETCHED_WORD)),
                "exhausted": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        return Module()
