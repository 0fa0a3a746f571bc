"""Models `rtl.load_walker.LoadWalker` and `rtl.unpacker.Unpacker`: from beats to words.

A word passes three registers: the walker's output (`word_*`), the unpacker's first stage, where it
waits for its bytes (`held_*`), and its output (`out_*`). In a cycle everything moves that can; the
loop below keeps all of it in local variables as long as nothing happens that concerns other units.
"""

from typing import Any

from sim.cycle.jit import jit
from sim.cycle.outputs import writes_bank
from sim.cycle.slots import complete, rest, wake
from sim.cycle.state import BURSTS, JOBS, LOAD, NEVER, READS_UNIT


@jit
def end_load_busy(m: Any, order: Any, times: Any, t: int) -> None:
    """The load engine rests when nothing of it is left after cycle t."""
    load = m.load
    if load.indices == 0 and load.outstanding == 0 and m.load_bursts.offer_at == NEVER:
        rest(m, LOAD, order, times, t)


@jit
def _end_burst(m: Any, t: int) -> None:
    """The oldest burst's last beat has arrived; behind a row's last, the next starts at a unit."""
    load, reads = m.load, m.reads
    slots = m.hardware.unit_slots
    if reads.bursts[reads.first].row_last != 0:
        load.written = (load.written + slots - 1) // slots * slots
    reads.first = (reads.first + 1) % BURSTS
    reads.level -= 1
    load.outstanding -= 1
    wake(m, READS_UNIT, t + 1)


@jit
def _end_word(m: Any, order: Any, times: Any, t: int) -> None:
    """A command's last word was written."""
    load = m.load
    complete(m, LOAD, order[LOAD, load.oldest], times, t)
    load.oldest += 1
    load.indices -= 1


@jit
def _end_row(m: Any, commands: Any) -> None:
    """The walker turns to the next row, or is done with the job."""
    load = m.load
    c = commands[load.command]
    load.rows_left -= 1
    load.lane = (load.lane + c.row_stride) & (m.hardware.bus_bytes - 1)
    load.row_slot = load.end_slot
    load.row_address += c.row_pitch
    if load.rows_left == 0:
        load.walking = 0
        load.job_first = (load.job_first + 1) % JOBS
        load.jobs -= 1
    else:
        _start_row(m, c)


@jit
def _start_row(m: Any, c: Any) -> None:
    load, h = m.load, m.hardware
    unit = 1 << h.unit_bits
    load.row_end = load.lane + c.row_bytes
    load.end_slot = load.row_slot + ((load.row_end + unit - 1) >> h.unit_bits) * h.unit_slots
    load.pixels_left = c.pixels
    load.words_left = c.pixel_words
    load.bytes_left = c.lane_offset + c.pixel_bytes
    load.pixel_position = load.lane - c.pad_left
    load.position = load.pixel_position - c.lane_offset
    load.front = c.lane_offset
    load.address = load.pixel_address = load.row_address


@jit
def _start_job(m: Any, commands: Any) -> None:
    """The walker turns to the oldest job."""
    load = m.load
    load.command = load.jobs_ring[load.job_first]
    c = commands[load.command]
    load.walking = 1
    load.rows_left = c.rows
    load.lane = c.offset & (m.hardware.bus_bytes - 1)
    load.row_address = c.base
    _start_row(m, c)


@jit
def unpack(m: Any, commands: Any, order: Any, times: Any, until: int, t: int) -> int:
    """Evaluate cycles from t to before `until`; returns when to come back.

    Parameters
    ----------
    until : before that cycle no other unit changes anything; at least t + 1.
    """
    load, reads, h = m.load, m.reads, m.hardware
    capacity = h.unpacker_beats
    lanes, bus_bits, unit_bits, slots = h.lanes, h.bus_bits, h.unit_bits, h.unit_slots
    while True:
        start_job = load.walking == 0 and load.jobs != 0
        job_visible = load.jobs > 1 or load.job_pushed_at != t
        burst = reads.bursts[reads.first]
        beats = burst.beats if reads.level != 0 and burst.load != 0 else 0
        ready_at = burst.ready_at
        written, released = load.written, load.released
        word_valid, word_needed, word_hold = load.word_valid, load.word_needed, load.word_hold
        word_row_end, word_address = load.word_row_end, load.word_address
        word_last = load.word_last
        held_valid, held_needed, held_row_end = load.held_valid, load.held_needed, load.held_row_end
        held_address, held_last = load.held_address, load.held_last
        out_valid, out_address, out_last = load.out_valid, load.out_address, load.out_last
        walking = load.walking
        c = commands[load.command]
        addressed = c.destination == h.scratchpad
        position, pixel_position = load.position, load.pixel_position
        address, pixel_address = load.address, load.pixel_address
        words_left, bytes_left, pixels_left = load.words_left, load.bytes_left, load.pixels_left
        lane, row_end, row_slot, end_slot = load.lane, load.row_end, load.row_slot, load.end_slot
        fold, plane_pitch, pixel_step = c.fold, c.plane_pitch, c.pixel_step
        pixel_words, lane_offset = c.pixel_words, c.lane_offset
        vector_bytes, front = lane_offset + c.pixel_bytes, load.front
        beats_before, words, stalls = beats, 0, 0
        burst_ended = word_ended = row_ended = False
        while True:
            # registers decide whether a beat finds room, so before any of them changes
            arrives = beats != 0 and ready_at <= t and written - released < capacity
            room = True
            if out_valid != 0:
                if out_address >= 0 and writes_bank(m, out_address, t):
                    room = False
                    stalls += 1
                else:
                    words += 1
                    out_valid = 0
                    word_ended = out_last != 0
            if held_valid != 0 and room and written >= held_needed:
                held_valid = 0
                out_valid = 1
                out_address = held_address
                out_last = held_last
                if held_row_end >= 0:
                    released = held_row_end
            if word_valid != 0 and held_valid == 0:
                word_valid = 0
                held_valid = 1
                held_needed = word_needed
                held_row_end = word_row_end
                held_address = word_address
                held_last = word_last
                released = word_hold
            if walking != 0 and word_valid == 0:
                low = max(lane - position, front)
                high = min(bytes_left, row_end - position, lanes)
                word_needed = row_slot
                if high > low:
                    word_needed += ((position + high - 1) >> bus_bits) + 1
                hold = pixel_position if fold != 0 else position + front
                front = 0
                word_hold = end_slot
                if hold < row_end:
                    word_hold = row_slot + (max(hold, 0) >> unit_bits) * slots
                word_address = address if addressed else -1
                word_valid = 1
                word_row_end = -1
                word_last = 0
                words_left -= 1
                bytes_left -= lanes
                position += lanes
                address += plane_pitch
                if words_left == 0:
                    words_left = pixel_words
                    bytes_left = vector_bytes
                    front = lane_offset
                    pixel_position += pixel_step
                    position = pixel_position - lane_offset
                    pixel_address += 1
                    address = pixel_address
                    pixels_left -= 1
                    if pixels_left == 0:
                        row_ended = True
                        word_row_end = end_slot
                        word_last = 1 if load.rows_left == 1 else 0
            if arrives:
                beats -= 1
                written += 1
                burst_ended = beats == 0
            if burst_ended or word_ended or row_ended or start_job:
                break
            t += 1
            if t >= until:
                break
            moves = (
                out_valid != 0
                or (held_valid != 0 and written >= held_needed)
                or (held_valid == 0 and word_valid != 0)
                or (word_valid == 0 and walking != 0)
            )
            if not moves:
                if beats == 0:
                    break
                t = max(t, ready_at)
                if t >= until:
                    break

        load.written, load.released = written, released
        load.word_valid, load.word_needed, load.word_hold = word_valid, word_needed, word_hold
        load.word_row_end, load.word_address = word_row_end, word_address
        load.word_last = word_last
        load.held_valid, load.held_needed, load.held_row_end = held_valid, held_needed, held_row_end
        load.held_address, load.held_last = held_address, held_last
        load.out_valid, load.out_address, load.out_last = out_valid, out_address, out_last
        load.position, load.pixel_position = position, pixel_position
        load.address, load.pixel_address = address, pixel_address
        load.front = front
        load.words_left, load.bytes_left, load.pixels_left = words_left, bytes_left, pixels_left
        load.words += words
        load.write_stalls += stalls
        if beats != beats_before:
            burst.beats = beats
            m.read_beats += beats_before - beats
            reads.last_beat_at = t

        if burst_ended:
            _end_burst(m, t)
        if row_ended:
            _end_row(m, commands)
        if word_ended:
            _end_word(m, order, times, t)
        if burst_ended or word_ended:
            end_load_busy(m, order, times, t)
        if start_job and job_visible:
            _start_job(m, commands)
        if burst_ended or word_ended or row_ended or start_job:
            t += 1
        if burst_ended or word_ended or t >= until:
            return t
        if not (row_ended or start_job):
            # everything waits for a beat of a burst that was not requested yet
            return NEVER
