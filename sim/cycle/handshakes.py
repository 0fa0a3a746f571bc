"""Models the address and data handshakes of the memory, see `sim.memory.HANDSHAKES`.

Each direction has one register for an address: the next burst can be taken when the memory takes
the one before, in cycle `reads.address_at` or `store.address_at`. That is the cycle after the burst
was taken, or two after it, or it is not known yet: NEVER.
"""

from typing import Any

from sim.cycle.slots import wake
from sim.cycle.state import BURSTS, LOAD_UNIT, NEVER
from sim.jit import jit, larger
from sim.memory import HANDSHAKES

EAGER, AFTER_VALID, ADDRESS_FIRST, DATA_FIRST, TOGETHER, ONE_AT_A_TIME = range(len(HANDSHAKES))


@jit
def data_cycles(m: Any) -> int:
    """From handing over a beat of write data to the memory taking it."""
    return 2 if m.hardware.handshake == AFTER_VALID else 1


@jit
def offer_read(m: Any, alone: bool, t: int) -> int:
    """A read burst is taken in cycle t; returns when its first beat may come.

    `alone` : all bursts before it had been answered before.
    """
    reads, h = m.reads, m.hardware
    reads.address_at = t + 1
    if h.handshake == AFTER_VALID:
        reads.address_at = t + 2
    elif h.handshake == ONE_AT_A_TIME and not alone:
        reads.address_at = NEVER
        return NEVER
    return int(reads.address_at + h.latency)


@jit
def end_read(m: Any, t: int) -> None:
    """The last beat of a burst was taken in cycle t, the burst is forgotten: the address that
    waited for it, if one did, follows."""
    reads = m.reads
    if reads.address_at != NEVER:
        return
    reads.address_at = t + 1
    burst = reads.bursts[reads.first]
    burst.ready_at = t + 1 + m.hardware.latency
    if burst.load != 0:
        wake(m, LOAD_UNIT, burst.ready_at)


@jit
def offer_write(m: Any, alone: bool, t: int) -> None:
    """A write burst is issued in cycle t; `alone` : no other is unanswered."""
    s, handshake = m.store, m.hardware.handshake
    s.address_at = t + 1
    if handshake == AFTER_VALID:
        s.address_at = t + 2
    elif handshake in (DATA_FIRST, TOGETHER) or (handshake == ONE_AT_A_TIME and not alone):
        s.address_at = NEVER


@jit
def first_data(m: Any, t: int) -> None:
    """A burst's first beat is handed over in cycle t."""
    if m.hardware.handshake == TOGETHER:
        m.store.address_at = t + 1


@jit
def last_data(m: Any, t: int) -> int:
    """The last beat of a burst, which `issued` holds no more, is handed over in cycle t; returns
    when the burst is answered."""
    s, h = m.store, m.hardware
    taken = t + data_cycles(m)
    if h.handshake == DATA_FIRST:
        taken = s.address_at = t + 2
    elif h.handshake == ONE_AT_A_TIME and s.issued_count == 0:
        # no later burst was issued: the address is this one's
        if s.address_at == NEVER:
            return NEVER
        taken = larger(taken, s.address_at)
    return int(taken + h.response_latency)


@jit
def end_write(m: Any, t: int) -> None:
    """A burst is answered in cycle t, and forgotten: the address that waited for it follows."""
    s, h = m.store, m.hardware
    if h.handshake != ONE_AT_A_TIME or s.address_at != NEVER:
        return
    s.address_at = t + 1
    if s.answers_count != 0:
        s.answers[s.answers_first % BURSTS].ready_at = t + 1 + h.response_latency
