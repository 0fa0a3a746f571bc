"""Models `rtl.bursts.BurstSplitter`: which bursts a transfer consists of, and when they come."""

from typing import Any

from sim.cycle.state import NEVER
from sim.jit import jit, smaller

_MEASURE_CYCLES = 2
"""From taking a transfer or a burst to the next offer."""


@jit
def _measure(s: Any, burst_bytes: int, bus_bytes: int) -> None:
    to_boundary = burst_bytes - (s.address & (burst_bytes - 1))
    s.length = smaller(s.remaining, to_boundary)
    s.row_last = 1 if s.remaining <= to_boundary else 0
    s.beats = ((s.address & (bus_bytes - 1)) + s.length + bus_bytes - 1) // bus_bytes


@jit
def start_transfer(
    s: Any,
    address: int,
    row_bytes: int,
    row_stride: int,
    rows: int,
    burst_bytes: int,
    bus_bytes: int,
    t: int,
) -> None:
    """The splitter takes a transfer in cycle t; addresses matter modulo a page only."""
    s.address = s.row_address = address
    s.remaining = s.row_bytes = row_bytes
    s.row_stride = row_stride
    s.rows = rows
    s.offer_at = t + _MEASURE_CYCLES
    _measure(s, burst_bytes, bus_bytes)


@jit
def take_burst(s: Any, burst_bytes: int, bus_bytes: int, t: int) -> None:
    """The burst on offer is taken in cycle t."""
    if s.row_last == 0:
        s.address += s.length
        s.remaining -= s.length
    elif s.rows == 1:
        s.offer_at = NEVER
        s.idle_from = t + 1
        return
    else:
        s.rows -= 1
        s.row_address += s.row_stride
        s.address = s.row_address
        s.remaining = s.row_bytes
    s.offer_at = t + _MEASURE_CYCLES
    _measure(s, burst_bytes, bus_bytes)


@jit
def splitter_ready(s: Any, t: int) -> bool:
    """The splitter can take a transfer in cycle t."""
    return bool(s.offer_at == NEVER and s.idle_from <= t)
