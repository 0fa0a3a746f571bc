"""Decodes the command stream and hands every command to its engine's queue."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig
from rtl.interfaces import FETCHED_WORD, INDEX_BITS, ErrorReport
from rtl.isa import BEAT_BITS


class Dispatcher(wiring.Component):
    """Check each command's header and reserved bits and queue it for its engine.

    Members
    -------
    start : begin with command 0. halt : stop decoding. clear : empty the queues, stop.
    words, exhausted : from the command fetch.
    load, compute, store : the queues' outputs: an index beat, then the command's beats.
    engines_idle : all engines report idle.
    error : a fault. finished : pulse when END completes.
    index : index of the command being decoded. progress : a beat moved in this cycle.
    """

    start: Signal
    halt: Signal
    clear: Signal
    words: Any
    exhausted: Signal
    load: Any
    compute: Any
    store: Any
    engines_idle: Signal
    error: Any
    finished: Signal
    index: Signal
    progress: Signal

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        queue = stream.Signature(BEAT_BITS)
        super().__init__(
            {
                "start": In(1),
                "halt": In(1),
                "clear": In(1),
                "words": In(stream.Signature(FETCHED_WORD)),
                "exhausted": In(1),
                "load": Out(queue),
                "compute": Out(queue),
                "store": Out(queue),
                "engines_idle": In(1),
                "error": Out(ErrorReport()),
                "finished": Out(1),
                "index": Out(INDEX_BITS),
                "progress": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        return Module()
