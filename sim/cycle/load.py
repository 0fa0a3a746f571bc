"""Models `rtl.load_engine.LoadEngine` with its walker and unpacker."""

from typing import Any

from rtl.isa import Destination
from sim.cycle.bursts import splitter_ready, start_transfer
from sim.cycle.jit import jit
from sim.cycle.outputs import writes_bank
from sim.cycle.reads import end_load_busy
from sim.cycle.slots import complete, step_slot, take_command, wake
from sim.cycle.state import JOBS, LOAD, NEVER, READS_UNIT

_SCRATCHPAD = int(Destination.SCRATCHPAD)
_PARAMETERS = int(Destination.PARAMETERS)


@jit
def _front(m: Any, commands: Any, order: Any, times: Any, t: int) -> int:
    """Accept the slot's command when there is room; returns when to come back."""
    load, engine, h = m.load, m.engines[LOAD], m.hardware
    if load.accept_at == t:
        load.accept_at = NEVER
        index = take_command(m, LOAD, order, times, t)
        c = commands[index]
        load.jobs_ring[(load.job_first + load.jobs) % JOBS] = index
        load.jobs += 1
        load.job_pushed_at = t
        load.indices += 1
        start_transfer(
            m.load_bursts,
            c.offset,
            c.row_bytes,
            c.row_stride,
            c.rows,
            h.burst_bytes,
            h.bus_bytes,
            t,
        )
        wake(m, READS_UNIT, m.load_bursts.offer_at)
        return t + 1
    if (
        load.accept_at == NEVER
        and engine.valid_from <= t
        and load.jobs < JOBS
        and load.indices < JOBS
        and splitter_ready(m.load_bursts, t)
    ):
        load.accept_at = t + 1
    return int(load.accept_at)


@jit
def _start_job(m: Any, commands: Any) -> None:
    """The walker turns to the oldest job."""
    load = m.load
    load.command = load.jobs_ring[load.job_first]
    c = commands[load.command]
    load.walking = 1
    load.rows_left = c.rows
    load.pixels_left = c.pixels
    load.words_left = c.pixel_words
    load.bytes_left = c.pixel_bytes
    load.lane = c.offset & (m.hardware.bus_bytes - 1)
    load.row_end = load.lane + c.row_bytes
    load.position = load.pixel_position = load.lane - c.pad_left
    load.row_address = load.pixel_address = load.address = c.base


@jit
def _walk(m: Any, commands: Any) -> None:
    """The walker puts the next word into its output register."""
    load, h = m.load, m.hardware
    c = commands[load.command]
    lanes = h.lanes
    slots = h.unit_slots
    end_slot = load.row_slot + ((load.row_end + (1 << h.unit_bits) - 1) >> h.unit_bits) * slots

    position = load.position
    low = min(max(load.lane - position, 0), lanes)
    high = min(load.bytes_left, min(max(load.row_end - position, 0), lanes))
    load.word_needed = load.row_slot
    if high > low:
        load.word_needed += ((position + high - 1) >> h.bus_bits) + 1
    hold = load.pixel_position if c.fold != 0 else position
    if hold >= load.row_end:
        load.word_hold = end_slot
    else:
        load.word_hold = load.row_slot + (max(hold, 0) >> h.unit_bits) * slots
    load.word_address = load.address if c.destination == _SCRATCHPAD else -1
    load.word_valid = 1
    load.word_row_end = -1
    load.word_last = 0

    load.words_left -= 1
    if load.words_left != 0:
        load.bytes_left -= lanes
        load.position += lanes
        load.address += c.plane_pitch
        return
    load.words_left = c.pixel_words
    load.bytes_left = c.pixel_bytes
    load.pixels_left -= 1
    if load.pixels_left != 0:
        load.pixel_position += c.pixel_step
        load.position = load.pixel_position
        load.pixel_address += 1
        load.address = load.pixel_address
        return
    load.word_row_end = end_slot
    load.pixels_left = c.pixels
    load.rows_left -= 1
    load.lane = (load.lane + c.row_stride) & (h.bus_bytes - 1)
    load.row_end = load.lane + c.row_bytes
    load.position = load.pixel_position = load.lane - c.pad_left
    load.row_slot = end_slot
    load.row_address += c.row_pitch
    load.pixel_address = load.address = load.row_address
    if load.rows_left == 0:
        load.word_last = 1
        load.walking = 0
        load.job_first = (load.job_first + 1) % JOBS
        load.jobs -= 1


@jit
def _write(m: Any, order: Any, times: Any, t: int) -> bool:
    """Write the output register's word; False when the scratchpad's bank is taken."""
    load = m.load
    index = order[LOAD, load.oldest]
    if load.out_address >= 0 and writes_bank(m, load.out_address, t):
        load.write_stalls += 1
        times[index].stalls += 1
        return False
    load.words += 1
    times[index].active += 1
    if load.out_last != 0:
        load.oldest += 1
        load.indices -= 1
        complete(m, LOAD, index, times, t)
        end_load_busy(m, t)
    return True


@jit
def _pipeline(m: Any, commands: Any, order: Any, times: Any, t: int) -> int:
    """Move words through walker and unpacker, downstream first; returns when to come back."""
    load = m.load
    room = True
    if load.out_valid != 0:
        room = _write(m, order, times, t)
        if room:
            load.out_valid = 0
    if load.held_valid != 0 and room:
        written = load.written_before if load.written_at == t else load.written
        if written >= load.held_needed:
            load.held_valid = 0
            load.out_valid = 1
            load.out_address = load.held_address
            load.out_last = load.held_last
            if load.held_row_end >= 0:
                load.released = load.held_row_end
    if load.word_valid != 0 and load.held_valid == 0:
        load.word_valid = 0
        load.held_valid = 1
        load.held_needed = load.word_needed
        load.held_row_end = load.word_row_end
        load.held_address = load.word_address
        load.held_last = load.word_last
        load.released = load.word_hold
    if load.walking != 0:
        if load.word_valid == 0:
            _walk(m, commands)
    elif load.jobs > 1 or (load.jobs == 1 and load.job_pushed_at != t):
        _start_job(m, commands)
    if m.reads.ring_full != 0:
        wake(m, READS_UNIT, t + 1)
    busy = (
        load.out_valid != 0
        or (load.held_valid != 0 and load.written >= load.held_needed)
        or (load.held_valid == 0 and load.word_valid != 0)
        or (load.word_valid == 0 and load.walking != 0)
        or (load.walking == 0 and load.jobs != 0)
    )
    return t + 1 if busy else NEVER


@jit
def step_load(m: Any, commands: Any, order: Any, times: Any, t: int) -> int:
    """Evaluate cycle t; returns when to come back."""
    slot = step_slot(m, LOAD, commands, order, times, t)
    front = _front(m, commands, order, times, t)
    pipeline = _pipeline(m, commands, order, times, t)
    return min(slot, front, pipeline)
