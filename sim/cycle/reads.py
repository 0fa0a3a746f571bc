"""The read side of the bus: `rtl.read_manager`, `rtl.command_fetch` and the memory's read channel.

At most `outstanding` bursts are between request and last beat. A burst requested in cycle t is on
the address channel in t + 1; its beats come from `latency` cycles later on, one per cycle, behind
those of the bursts before it. A beat for the unpacker waits while its ring is full.
"""

from typing import Any

from sim.cycle.bursts import take_burst
from sim.cycle.jit import jit
from sim.cycle.slots import rest, wake
from sim.cycle.state import BURSTS, DISPATCH_UNIT, LOAD, LOAD_UNIT, NEVER

_UNITS = 8
"""Units in the unpacker's ring."""

_WORD_BYTES = 8


@jit
def ring_has_room(m: Any) -> bool:
    """The unpacker takes a beat."""
    return bool(m.load.written - m.load.released < _UNITS * m.hardware.unit_slots)


@jit
def _fetch_may_go(m: Any, t: int) -> bool:
    """The command fetch has room for a burst, and nothing has stopped it."""
    h = m.hardware
    burst_words = h.fetch_burst_bytes // _WORD_BYTES
    return bool(t < m.halt_from and m.dispatch.free * h.fetch_item_words >= burst_words)


@jit
def _push(m: Any, load: int, beats: int, row_last: int, t: int) -> None:
    reads = m.reads
    burst = reads.bursts[(reads.first + reads.level) % BURSTS]
    burst.load = load
    burst.beats = beats
    burst.row_last = row_last
    burst.ready_at = t + 1 + m.hardware.latency
    reads.level += 1


@jit
def _request(m: Any, t: int) -> None:
    """Take one burst; the command fetch goes first."""
    h = m.hardware
    if m.reads.level == h.outstanding:
        return
    if m.fetch.offer_at <= t and _fetch_may_go(m, t):
        _push(m, 0, m.fetch.beats, 0, t)
        words = m.fetch.beats * h.bus_bytes // _WORD_BYTES
        m.dispatch.free -= words // h.fetch_item_words
        take_burst(m.fetch, h.fetch_burst_bytes, h.bus_bytes, t)
    elif m.load_bursts.offer_at <= t:
        _push(m, 1, m.load_bursts.beats, m.load_bursts.row_last, t)
        m.load.outstanding += 1
        take_burst(m.load_bursts, h.burst_bytes, h.bus_bytes, t)
        if m.load_bursts.offer_at == NEVER:
            wake(m, LOAD_UNIT, t + 1)


@jit
def end_load_busy(m: Any, t: int) -> None:
    """The load engine rests when nothing of it is left after cycle t."""
    load = m.load
    if load.indices == 0 and load.outstanding == 0 and m.load_bursts.offer_at == NEVER:
        rest(m.engines[LOAD], t)


@jit
def _fetched(m: Any, t: int) -> None:
    """A beat of the command stream arrives."""
    d = m.dispatch
    if d.arrived_at != t:
        d.arrived_before = d.arrived
        d.arrived_at = t
    words = m.hardware.bus_bytes // _WORD_BYTES
    if words == 0:
        d.odd_beat ^= 1
        words = 1 - d.odd_beat
    d.arrived = min(d.arrived + words, d.total)
    wake(m, DISPATCH_UNIT, t + 1)


@jit
def _loaded(m: Any, last_of_row: bool, t: int) -> None:
    """A beat arrives in the unpacker's ring; the next row starts at a unit."""
    load = m.load
    slots = m.hardware.unit_slots
    load.written_before = load.written
    load.written_at = t
    load.written = (load.written // slots + 1) * slots if last_of_row else load.written + 1
    if load.held_valid != 0:
        wake(m, LOAD_UNIT, t + 1)


@jit
def _beat(m: Any, t: int) -> None:
    """Pass on a beat of the oldest burst."""
    reads = m.reads
    if reads.level == 0:
        return
    burst = reads.bursts[reads.first]
    if burst.ready_at > t:
        return
    if burst.load != 0 and not ring_has_room(m):
        reads.ring_full = 1
        return
    burst.beats -= 1
    m.read_beats += 1
    reads.last_beat_at = t
    last = burst.beats == 0
    if burst.load != 0:
        _loaded(m, last and burst.row_last != 0, t)
    else:
        _fetched(m, t)
    if last:
        reads.first = (reads.first + 1) % BURSTS
        reads.level -= 1
        if burst.load != 0:
            m.load.outstanding -= 1
            if m.load.indices == 0:
                end_load_busy(m, t)


@jit
def step_reads(m: Any, t: int) -> int:
    """Evaluate cycle t; returns when to come back."""
    reads = m.reads
    reads.ring_full = 0
    in_flight = reads.level
    if m.fetch.offer_at <= t or m.load_bursts.offer_at <= t:
        _request(m, t)
    if in_flight != 0:
        _beat(m, t)
    following = NEVER
    if reads.level < m.hardware.outstanding:
        following = m.load_bursts.offer_at
        if m.fetch.offer_at < following and _fetch_may_go(m, t + 1):
            following = m.fetch.offer_at
    if reads.level != 0 and reads.ring_full == 0:
        following = min(following, reads.bursts[reads.first].ready_at)
    return max(following, t + 1)
