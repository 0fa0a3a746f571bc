"""The read side of the bus: `rtl.read_manager`, `rtl.command_fetch` and the memory's read channel.

At most `outstanding` bursts are between request and last beat. A burst requested in cycle t is on
the address channel in t + 1; its beats come from `latency` cycles later on, one per cycle, behind
those of the bursts before it. Beats for the load engine are taken by the model of its unpacker,
and wait while that is full.
"""

from typing import Any

from sim.cycle.bursts import take_burst
from sim.cycle.handshakes import end_read, offer_read
from sim.cycle.slots import wake
from sim.cycle.state import BURSTS, DISPATCH_UNIT, LOAD_UNIT, NEVER, ONE, ZERO
from sim.jit import jit, larger, smaller

_WORD_BYTES = 8


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
    burst.ready_at = offer_read(m, reads.level == 0, t)
    reads.level += 1
    if load != 0:
        wake(m, LOAD_UNIT, burst.ready_at)


@jit
def _request(m: Any, t: int) -> None:
    """Take one burst; the command fetch goes first."""
    h = m.hardware
    if m.reads.level == h.outstanding or m.reads.address_at > t:
        return
    if m.fetch.offer_at <= t and _fetch_may_go(m, t):
        _push(m, ZERO, m.fetch.beats, ZERO, t)
        words = m.fetch.beats * h.bus_bytes // _WORD_BYTES
        m.dispatch.free -= words // h.fetch_item_words
        take_burst(m.fetch, h.fetch_burst_bytes, h.bus_bytes, t)
    elif m.load_bursts.offer_at <= t:
        _push(m, ONE, m.load_bursts.beats, m.load_bursts.row_last, t)
        m.load.outstanding += 1
        take_burst(m.load_bursts, h.burst_bytes, h.bus_bytes, t)
        if m.load_bursts.offer_at == NEVER:
            wake(m, LOAD_UNIT, t + 1)


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
    d.arrived = smaller(d.arrived + words, d.total)
    wake(m, DISPATCH_UNIT, t + 1)


@jit
def _beat(m: Any, t: int) -> None:
    """Pass on a beat of the oldest burst, which is the command fetch's."""
    reads = m.reads
    burst = reads.bursts[reads.first]
    burst.beats -= 1
    m.read_beats += 1
    reads.last_beat_at = t
    _fetched(m, t)
    if burst.beats == 0:
        reads.first = (reads.first + 1) % BURSTS
        reads.level -= 1
        following = reads.bursts[reads.first]
        following.ready_at = larger(following.ready_at, t + 1)
        end_read(m, t)
        wake(m, LOAD_UNIT, t + 1)


@jit
def step_reads(m: Any, t: int) -> int:
    """Evaluate cycle t; returns when to come back."""
    reads = m.reads
    in_flight = reads.level
    if m.fetch.offer_at <= t or m.load_bursts.offer_at <= t:
        _request(m, t)
    oldest = reads.bursts[reads.first]
    if in_flight != 0 and oldest.load == 0 and oldest.ready_at <= t:
        _beat(m, t)
    following = NEVER
    if reads.level < m.hardware.outstanding and reads.address_at != NEVER:
        following = m.load_bursts.offer_at
        if m.fetch.offer_at < following and _fetch_may_go(m, t + 1):
            following = m.fetch.offer_at
    oldest = reads.bursts[reads.first]
    if reads.level != 0 and oldest.load == 0:
        following = smaller(following, oldest.ready_at)
    return larger(following, t + 1)
