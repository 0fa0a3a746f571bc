"""Models `rtl.load_walker.LoadWalker`, `rtl.unpacker.Unpacker` and `rtl.weight_decoder`: from
beats to words.

A word passes three registers: the walker's output (`word_*`), the unpacker's first stage, where it
waits for its bytes (`held_*`), and its output (`out_*`), where encoded weights wait for the
decoder, whose operations are known. Behind the walker's output there is a place for one more that
waits (`spare_*`). In a cycle everything moves that can; the loop below keeps all of it in local
variables as long as nothing happens that concerns other units.
"""

from typing import Any

from sim.cycle.decode import ENCODED, NEEDS, decode
from sim.cycle.handshakes import end_read
from sim.cycle.outputs import writes_bank
from sim.cycle.slots import complete, rest, wake
from sim.cycle.state import BURSTS, JOBS, LOAD, NEVER, READS_UNIT, ZERO
from sim.jit import jit, larger, part, smaller


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
    end_read(m, t)
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
def unpack(
    m: Any, commands: Any, operations: Any, order: Any, times: Any, until: int, t: int
) -> int:
    """Evaluate cycles from t to before `until`; returns when to come back.

    Parameters
    ----------
    until : before that cycle no other unit changes anything; at least t + 1.
    """
    load = m.load
    while True:
        start_job = load.walking == 0 and load.jobs != 0
        job_visible = load.jobs > 1 or load.job_pushed_at != t
        t, burst_ended, word_ended, row_ended = _move(m, commands, operations, start_job, until, t)
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


@part
def _move(
    m: Any, commands: Any, operations: Any, once: bool, until: int, t: int
) -> tuple[int, bool, bool, bool]:
    """Move beats and words from cycle t on, with all that moves in local variables.

    Stops at `until`, after one cycle if `once`, or in a cycle in which something ends. Returns the
    cycle, and whether it ended a burst, a command's last word, and a row of the walker.
    """
    load, reads, h = m.load, m.reads, m.hardware
    burst = reads.bursts[reads.first]
    beats = burst.beats if reads.level != 0 and burst.load != 0 else 0
    ready_at, capacity = burst.ready_at, h.unpacker_beats
    written, released = load.written, load.released
    walking, row, walker = load.walking, _read_row(load, h, commands), _read_walker(load)
    word_valid, word = load.word_valid, _read_word(load)
    spare_valid, spare = load.spare_valid, _read_spare(load)
    held_valid, held = load.held_valid, _read_held(load)
    out_valid, out_address, out_last = load.out_valid, load.out_address, load.out_last
    decoder = load.operation, load.decoding, load.ended, load.decode_at, load.decoded_at
    beats_before, words, stalls = beats, 0, 0
    burst_ended = word_ended = row_ended = False
    while True:
        # registers decide whether a beat finds room, so before any of them changes
        arrives = beats != 0 and ready_at <= t and written - released < capacity
        room = True
        held_back = decoder[1] != 0 or decoder[4] != NEVER
        if held_back or (out_valid != 0 and out_address == ENCODED):
            encoded = out_valid != 0 and out_address == ENCODED
            decoder, done, worked, taken = decode(h, operations, decoder, encoded, out_last, t)
            word_ended = done
            words += worked
            if taken:
                out_valid = 0
        if out_valid != 0:
            if held_back or out_address == ENCODED:
                room = False
            elif out_address >= 0 and writes_bank(m, out_address, t):
                room = False
                stalls += 1
            else:
                words += 1
                out_valid = 0
                word_ended = out_last != 0
        if held_valid != 0 and room and written >= held[0]:
            held_valid, out_valid = 0, 1
            out_address, out_last = held[2], held[3]
            if held[1] >= 0:
                released = held[1]
        walks = walking != 0 and spare_valid == 0
        if word_valid != 0 and held_valid == 0:
            word_valid, held_valid = spare_valid, 1
            held, released = word[:4], word[4]
            word, spare_valid = spare, 0
        if walks:
            walker, spare, row_ended = _walk(row, walker)
            spare_valid = word_valid
            if word_valid == 0:
                word_valid, word = 1, spare
        if arrives:
            beats -= 1
            written += 1
            burst_ended = beats == 0
        if burst_ended or word_ended or row_ended or once:
            break
        t += 1
        if t >= until:
            break
        moves = (
            out_valid != 0
            or (held_valid != 0 and written >= held[0])
            or (held_valid == 0 and word_valid != 0)
            or (spare_valid == 0 and walking != 0)
            or decoder[4] != NEVER
            or (decoder[1] != 0 and (decoder[2] != 0 or operations[decoder[0]] & NEEDS == 0))
        )
        if not moves:
            if beats == 0:
                break
            t = larger(t, ready_at)
            if t >= until:
                break

    load.written, load.released = written, released
    _write_walker(load, walker)
    load.word_valid, load.held_valid, load.out_valid = word_valid, held_valid, out_valid
    load.spare_valid = spare_valid
    _write_word(load, word)
    _write_spare(load, spare)
    _write_held(load, held)
    load.out_address, load.out_last = out_address, out_last
    load.operation, load.decoding, load.ended = decoder[:3]
    load.decode_at, load.decoded_at = decoder[3:]
    load.words += words
    load.write_stalls += stalls
    if beats != beats_before:
        burst.beats = beats
        m.read_beats += beats_before - beats
        reads.last_beat_at = t
    return t, burst_ended, word_ended, row_ended


_Held = tuple[int, int, int, int]
"""A word in the unpacker's first stage: needed, row_end, address, last."""

_Word = tuple[int, int, int, int, int]
"""A word in the walker's output: the same, and hold."""

_Walker = tuple[int, int, int, int, int, int, int, int]
"""The walker: position, pixel_position, address, pixel_address, front, and words, bytes and pixels
left."""

_Row = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""What stays during a row, in the order in which `_read_row` reads it: of the row, of the command,
of the hardware."""


@part
def _walk(row: _Row, walker: _Walker) -> tuple[_Walker, _Word, bool]:
    """The walker's next word; returns the walker behind it, the word, and whether it ends a row."""
    position, pixel_position, address, pixel_address, front, words, size, pixels = walker
    lane, row_end, row_slot, end_slot, last_row = row[0]
    addressed, fold, plane_pitch, pixel_step, pixel_words, lane_offset, pixel_bytes = row[1]
    lanes, bus_bits, unit_bits, slots = row[2]
    low = larger(lane - position, front)
    high = smaller(smaller(size, row_end - position), lanes)
    needed = row_slot
    if high > low:
        needed += ((position + high - 1) >> bus_bits) + 1
    first = pixel_position if fold != 0 else position + front
    hold = end_slot
    if first < row_end:
        hold = row_slot + (larger(first, ZERO) >> unit_bits) * slots
    word_address = address if addressed == 1 else addressed
    front = 0
    words -= 1
    size -= lanes
    position += lanes
    address += plane_pitch
    ended, last = -1, 0
    if words == 0:
        words = pixel_words
        size = lane_offset + pixel_bytes
        front = lane_offset
        pixel_position += pixel_step
        position = pixel_position - lane_offset
        pixel_address += 1
        address = pixel_address
        pixels -= 1
        if pixels == 0:
            ended, last = end_slot, last_row
    walker = (position, pixel_position, address, pixel_address, front, words, size, pixels)
    return walker, (needed, ended, word_address, last, hold), ended >= 0


@part
def _read_row(load: Any, h: Any, commands: Any) -> _Row:
    c = commands[load.command]
    last_row = 1 if load.rows_left == 1 else 0
    addressed = -1
    if c.destination == h.scratchpad:
        addressed = 1
    elif c.destination == h.encoded:
        addressed = ENCODED
    return (
        (load.lane, load.row_end, load.row_slot, load.end_slot, last_row),
        (
            addressed,
            c.fold,
            c.plane_pitch,
            c.pixel_step,
            c.pixel_words,
            c.lane_offset,
            c.pixel_bytes,
        ),
        (h.lanes, h.bus_bits, h.unit_bits, h.unit_slots),
    )


@part
def _read_walker(load: Any) -> _Walker:
    return (
        load.position,
        load.pixel_position,
        load.address,
        load.pixel_address,
        load.front,
        load.words_left,
        load.bytes_left,
        load.pixels_left,
    )


@part
def _write_walker(load: Any, walker: _Walker) -> None:
    load.position, load.pixel_position, load.address, load.pixel_address = walker[:4]
    load.front, load.words_left, load.bytes_left, load.pixels_left = walker[4:]


@part
def _read_word(load: Any) -> _Word:
    needed, row_end, address = load.word_needed, load.word_row_end, load.word_address
    return needed, row_end, address, load.word_last, load.word_hold


@part
def _write_word(load: Any, word: _Word) -> None:
    load.word_needed, load.word_row_end, load.word_address = word[:3]
    load.word_last, load.word_hold = word[3:]


@part
def _read_spare(load: Any) -> _Word:
    needed, row_end, address = load.spare_needed, load.spare_row_end, load.spare_address
    return needed, row_end, address, load.spare_last, load.spare_hold


@part
def _write_spare(load: Any, word: _Word) -> None:
    load.spare_needed, load.spare_row_end, load.spare_address = word[:3]
    load.spare_last, load.spare_hold = word[3:]


@part
def _read_held(load: Any) -> _Held:
    return load.held_needed, load.held_row_end, load.held_address, load.held_last


@part
def _write_held(load: Any, held: _Held) -> None:
    load.held_needed, load.held_row_end, load.held_address, load.held_last = held
