"""Models `rtl.store_engine.StoreEngine` with its walker and packer, and the memory's write side."""

from typing import Any

from kernels.jit import typed
from sim.cycle.bursts import splitter_ready, start_transfer, take_burst
from sim.cycle.dispatch import END
from sim.cycle.handshakes import (
    data_cycles,
    end_write,
    first_data,
    last_data,
    offer_write,
)
from sim.cycle.slots import complete, rest, step_slot, take_command, waits_for
from sim.cycle.state import BURSTS, COMPUTE, JOBS, NEVER, PLACEMENTS, STORE
from sim.jit import jit, larger, smaller

_ISSUE_CYCLES = 1
"""From taking a burst to the packer seeing it."""

_PLACE_CYCLES = 3
"""From reading a word to its bytes counting as written."""

_IDLE, _MULTIPLY = range(2)

_AT_NO_TIME = typed(-1)

_SHORTEST_START = 5
"""Cycles from seeing a valid command to the first word read, at least."""


@jit
def _bit_length(value: int) -> int:
    bits = 0
    while value >> bits:
        bits += 1
    return bits


@jit
def _front_room(m: Any) -> bool:
    """The next command can be accepted, at the latest from the next cycle on."""
    s, jobs = m.store, m.hardware.store_jobs
    return bool(s.jobs < jobs and s.indices < jobs and m.store_bursts.offer_at == NEVER)


@jit
def _front(m: Any, commands: Any, order: Any, times: Any, t: int) -> int:
    """Multiply out a row's bytes and accept the slot's command; returns when to come back."""
    s, engine, h = m.store, m.engines[STORE], m.hardware
    if s.accept_at == t:
        s.accept_at = NEVER
        s.front = _IDLE
        index = take_command(m, STORE, order, times, t)
        c = commands[index]
        s.jobs_ring[(s.job_first + s.jobs) % JOBS] = index
        s.jobs += 1
        s.job_pushed_at = t
        s.indices += 1
        start_transfer(
            m.store_bursts,
            c.offset,
            c.pixels * c.pixel_bytes,
            c.row_stride,
            c.rows,
            h.burst_bytes,
            h.bus_bytes,
            t,
        )
        return t + 1
    if s.accept_at != NEVER:
        return int(s.accept_at)
    if s.front == _IDLE:
        if engine.valid_from > t:
            return NEVER
        s.front = _MULTIPLY
        s.ready_at = t + 1 + _bit_length(commands[order[STORE, engine.slot_command]].pixel_bytes)
        return int(s.ready_at)
    if t < s.ready_at:
        return int(s.ready_at)
    if _front_room(m) and splitter_ready(m.store_bursts, t):
        s.accept_at = t + 1
    return int(s.accept_at)


@jit
def wants_word(m: Any) -> bool:
    """A word of the scratchpad is asked for in this cycle."""
    return bool(m.store.requested != 0)


@jit
def _has_room(m: Any) -> bool:
    """The packer's ring takes another word."""
    s = m.store
    # reading stops when fewer than two units of the packer's ring are free
    unit_bits = m.hardware.unit_bits
    used = (s.place >> unit_bits) - (s.position >> unit_bits)
    return bool(used <= m.hardware.packer_units - 2)


@jit
def quiet_until(m: Any, commands: Any, order: Any, t: int) -> int:
    """Before this cycle, from t + 1 on, the walker surely asks for nothing."""
    s, engine = m.store, m.engines[STORE]
    if s.walking != 0 or s.jobs != 0 or s.requested != 0:
        return t + 1
    if s.accept_at != NEVER:
        return int(s.accept_at + 2)
    if s.front == _MULTIPLY:
        return t + 3
    if engine.whole_at == NEVER:
        if engine.queue == 0 and m.dispatch.state == END:
            return NEVER
        return t + _SHORTEST_START
    waiting = engine.valid_from == NEVER
    if (
        waiting
        and waits_for(m, commands[order[STORE, engine.slot_command]], _AT_NO_TIME) == COMPUTE
    ):
        return NEVER
    return t + _SHORTEST_START


@jit
def _start_job(m: Any, commands: Any) -> None:
    """The walker turns to the oldest job."""
    s, h = m.store, m.hardware
    s.command = s.jobs_ring[s.job_first]
    c = commands[s.command]
    s.walking = 1
    s.rows_left = c.rows
    s.pixels_left = c.pixels
    s.words_left = c.pixel_words
    s.bytes_left = c.pixel_bytes
    s.lane = c.offset & (h.bus_bytes - 1)
    s.place = (s.place >> h.unit_bits << h.unit_bits) + s.lane


@jit
def _request_word(m: Any, commands: Any) -> None:
    """The walker asks for a word from the next cycle on; its bytes have their place in the ring."""
    s, h = m.store, m.hardware
    c = commands[s.command]
    s.requested = 1
    s.place += smaller(s.bytes_left, h.lanes)
    s.words_left -= 1
    s.bytes_left -= h.lanes
    following = s.place
    if s.words_left == 0:
        s.words_left = c.pixel_words
        s.bytes_left = c.pixel_bytes
        s.pixels_left -= 1
        if s.pixels_left == 0:
            s.pixels_left = c.pixels
            s.rows_left -= 1
            s.lane = (s.lane + c.row_stride) & (h.bus_bytes - 1)
            # the row's last beat counts as full
            following = ((s.place + (1 << h.unit_bits) - 1) >> h.unit_bits) << h.unit_bits
            s.place = following + s.lane
            if s.rows_left == 0:
                s.walking = 0
                s.job_first = (s.job_first + 1) % JOBS
                s.jobs -= 1
    s.following = following


@jit
def _read_word(s: Any, t: int) -> None:
    """The word that was asked for is read."""
    s.requested = 0
    s.words += 1
    placed = s.placed[(s.placed_first + s.placed_count) % PLACEMENTS]
    placed.step_at = t
    placed.following = s.following
    s.placed_count += 1


@jit
def _walk(m: Any, commands: Any, wants: bool, granted: bool, t: int) -> None:
    s = m.store
    if granted:
        _read_word(s, t)
    elif wants:
        s.read_stalls += 1
    if s.walking != 0:
        if s.requested == 0 and _has_room(m):
            _request_word(m, commands)
    elif s.jobs > 1 or (s.jobs == 1 and s.job_pushed_at != t):
        _start_job(m, commands)


@jit
def _issue(m: Any, t: int) -> None:
    """Take a burst from the splitter; the packer sees it in the next cycle."""
    s, h = m.store, m.hardware
    burst = s.issued[(s.issued_first + s.issued_count) % BURSTS]
    s.issued_count += 1
    burst.beats = m.store_bursts.beats
    burst.row_last = m.store_bursts.row_last
    burst.last = 1 if burst.row_last != 0 and m.store_bursts.rows == 1 else 0
    burst.visible_at = t + _ISSUE_CYCLES
    offer_write(m, s.outstanding == 0, t)
    s.outstanding += 1
    take_burst(m.store_bursts, h.burst_bytes, h.bus_bytes, t)


@jit
def _pack(m: Any, t: int) -> None:
    """Hand over a beat when its bytes are there; it is on the bus in the next cycle."""
    s, h = m.store, m.hardware
    while s.placed_count != 0 and s.placed[s.placed_first].step_at + _PLACE_CYCLES <= t:
        s.written = s.placed[s.placed_first].following
        s.placed_first = (s.placed_first + 1) % PLACEMENTS
        s.placed_count -= 1
    if s.issued_count == 0 or s.written - s.position < h.bus_bytes:
        return
    burst = s.issued[s.issued_first]
    if burst.visible_at > t or s.beat_at > t:
        return
    s.beat_at = t + data_cycles(m)
    if s.burst_begun == 0:
        first_data(m, t)
    s.burst_begun = 1
    m.write_beats += 1
    s.position += h.bus_bytes
    burst.beats -= 1
    if burst.beats != 0:
        return
    if burst.row_last != 0:
        s.position = ((s.position + (1 << h.unit_bits) - 1) >> h.unit_bits) << h.unit_bits
    s.issued_first = (s.issued_first + 1) % BURSTS
    s.issued_count -= 1
    answer = s.answers[(s.answers_first + s.answers_count) % BURSTS]
    s.answers_count += 1
    s.burst_begun = 0
    answer.ready_at = last_data(m, t)
    answer.last = burst.last


@jit
def _answer(m: Any, order: Any, times: Any, t: int) -> None:
    """The memory answers the oldest burst."""
    s = m.store
    last = s.answers[s.answers_first].last
    s.answers_first = (s.answers_first + 1) % BURSTS
    s.answers_count -= 1
    s.outstanding -= 1
    end_write(m, t)
    if last != 0:
        index = order[STORE, s.oldest]
        s.oldest += 1
        s.indices -= 1
        complete(m, STORE, index, times, t)
        if s.indices == 0:
            rest(m, STORE, order, times, t)


@jit
def step_store(
    m: Any, commands: Any, order: Any, times: Any, wants: bool, granted: bool, t: int
) -> int:
    """Evaluate cycle t; returns when to come back.

    Parameters
    ----------
    wants : a word is asked for in this cycle. granted : it is read.
    """
    s = m.store
    following = step_slot(m, STORE, commands, order, times, t)
    following = smaller(following, _front(m, commands, order, times, t))
    in_flight = s.outstanding
    free = s.address_at <= t and in_flight < m.hardware.outstanding
    if m.store_bursts.offer_at <= t and free:
        _issue(m, t)
    _walk(m, commands, wants, granted, t)
    _pack(m, t)
    if s.answers_count != 0 and s.answers[s.answers_first].ready_at <= t:
        _answer(m, order, times, t)
    if s.walking != 0 or s.jobs != 0 or s.requested != 0:
        following = t + 1
    if s.front == _MULTIPLY and s.accept_at == NEVER and _front_room(m):
        following = smaller(following, s.ready_at)
    if s.outstanding < m.hardware.outstanding:
        following = smaller(following, larger(m.store_bursts.offer_at, s.address_at))
    if s.placed_count != 0:
        following = smaller(following, s.placed[s.placed_first].step_at + _PLACE_CYCLES)
    if s.issued_count != 0 and s.written - s.position >= m.hardware.bus_bytes:
        following = smaller(following, larger(s.issued[s.issued_first].visible_at, s.beat_at))
    if s.answers_count != 0:
        following = smaller(following, s.answers[s.answers_first].ready_at)
    return larger(following, t + 1)
