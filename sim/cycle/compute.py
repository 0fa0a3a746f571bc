"""Models `rtl.compute_engine.ComputeEngine`: sequencer, windows, grid, drain, output stage.

A window is fetched as soon as there is room for it behind the windows that wait (three places) and
the scratchpad grants it; everything behind the fetch follows from the time of the fetch:

- a window can be used 3 cycles after its fetch, and after the one before it;
- a group's first operation waits for its accumulators, which the group before the last had, or in
  modes that accumulate one word per pixel an earlier one;
- when a group's last operation has left the grid, it can be drained, behind the one before it;
- a drained word is written `write_latency` cycles after it was read.
"""

from typing import Any

from sim.cycle.outputs import forget_outputs, note_output
from sim.cycle.slots import complete, rest, step_slot, take_command
from sim.cycle.state import COMPUTE, NEVER, ONE, OUTPUTS, ZERO
from sim.jit import jit, larger, smaller

_FIRST_STEP = 3
"""Cycles from the start pulse to asking for the first window, besides the words of a block."""

_PLACED_AHEAD = 2
"""Cycles from when the sequencer lets go of a step to asking for its window."""

_FETCH_LATENCY = 3
"""From a window's fetch to its first use."""


@jit
def _start(m: Any, commands: Any, order: Any, times: Any, t: int) -> None:
    """Take the slot's command; the start pulse comes two cycles later."""
    s = m.compute
    s.command = take_command(m, COMPUTE, order, times, t)
    c = commands[s.command]
    s.busy = 1
    s.start = t + 2
    s.elementwise = 1 - c.grid
    s.done_at = NEVER
    s.active = s.accumulator_waits = s.outputs = 0
    s.first_issue = NEVER
    s.pop = s.pop_before = -1
    s.release = -1
    s.groups = 0
    s.buffers = 2 if c.accumulates != 0 else m.hardware.accumulator_slots
    s.second = 0
    s.pair_free = -1
    s.group_address = s.row_address = s.block_address = c.ofm_base
    if s.elementwise != 0:
        s.block_words = 1
        s.words_left = c.words
    else:
        s.block_words = c.depth >> m.hardware.word_shift
        s.depth = c.depth if c.accumulates != 0 else 1
        s.group_steps = c.kernel_height * c.kernel_width * c.channel_steps
        s.steps_left = s.group_steps
        s.width_left = c.ofm_width
        s.rows_left = c.ofm_height
        s.blocks_left = c.blocks
        s.step = c.steps
        s.block_step = c.steps
    s.attempt = s.start + _FIRST_STEP + s.block_words
    s.placed = s.attempt - _PLACED_AHEAD
    s.fetched = s.fetched_before = -1


@jit
def _end_steps(s: Any, done_at: int) -> None:
    """The command's last window was fetched; the rest follows."""
    s.attempt = NEVER
    s.done_at = done_at


@jit
def _end_group(m: Any, c: Any) -> None:
    """The grid is done with a group of pixels at `pop`: drain it, and turn to the next."""
    s, h = m.compute, m.hardware
    pixels = smaller(s.width_left, c.group_pixels)
    drain = larger(s.pop + h.drain_latency, s.release)
    cycles = note_output(
        m,
        drain + 1 + h.write_latency,
        s.block_words,
        pixels,
        s.group_address,
        c.ofm_plane_pitch,
    )
    s.release = drain + cycles
    s.releases[s.groups % s.buffers] = s.release
    s.groups += 1
    s.outputs += cycles
    s.steps_left = s.group_steps
    after = s.step
    s.step = s.block_step
    s.width_left -= c.group_pixels
    if s.width_left > 0:
        s.group_address += c.group_pixels
        return
    s.width_left = c.ofm_width
    s.rows_left -= 1
    if s.rows_left > 0:
        s.row_address += c.ofm_row_pitch
        s.group_address = s.row_address
        return
    s.rows_left = c.ofm_height
    s.blocks_left -= 1
    s.step = s.block_step = after
    s.block_address += s.block_words * c.ofm_plane_pitch
    s.group_address = s.row_address = s.block_address
    if s.blocks_left == 0:
        _end_steps(s, s.release + h.write_latency)


@jit
def _grid_step(m: Any, c: Any, steps: Any, t: int) -> None:
    """A window of a grid command is fetched in cycle t."""
    s = m.compute
    words, left_out, last = s.depth, 0, s.steps_left == 1
    if c.steps >= 0:
        words, left_out, last = steps[s.step, 0], steps[s.step, 1], steps[s.step, 2] != 0
        s.step += 1
    issue = larger(t + _FETCH_LATENCY, s.pop + 1)
    if s.steps_left == s.group_steps and s.groups >= s.buffers:
        # of the group that had the same accumulators
        release = s.releases[s.groups % s.buffers]
        if issue <= release:
            s.accumulator_waits += release + 1 - issue
            issue = release + 1
    if s.first_issue == NEVER:
        s.first_issue = issue
    # the sequencer is at most three steps ahead, but those that are left out do not wait
    s.placed = larger(s.placed + 1 + left_out, s.fetched_before + 1)
    s.fetched_before, s.fetched = s.fetched, t
    s.attempt = larger(larger(t + 1, s.placed + _PLACED_AHEAD), s.pop_before)
    s.pop_before = s.pop
    s.pop = issue + words - 1
    s.active += words
    s.steps_left -= 1
    if last:
        _end_group(m, c)


@jit
def _elementwise_step(m: Any, t: int) -> None:
    """A window of an elementwise command is fetched in cycle t; they alternate."""
    s, h = m.compute, m.hardware
    s.second ^= 1
    if s.second != 0:
        s.attempt = larger(t + 1, s.pair_free)
        return
    s.attempt = t + 1
    words = smaller(s.words_left, h.bank_mask + 1)
    issue = t + _FETCH_LATENCY
    if s.first_issue == NEVER:
        s.first_issue = issue
    first = issue + h.elementwise_write_latency
    cycles = note_output(m, first, ONE, words, s.group_address, ZERO)
    s.pop = issue + cycles - 1
    s.active += cycles
    s.outputs += cycles
    s.group_address += words
    s.words_left -= words
    if s.words_left == 0:
        _end_steps(s, s.pop + h.elementwise_write_latency)
    else:
        # the windows' last elements are put aside
        s.pair_free = larger(s.pop - 2, issue)


@jit
def _finish(m: Any, order: Any, times: Any, t: int) -> None:
    """The command's last word is written in cycle t."""
    s = m.compute
    s.busy = 0
    complete(m, COMPUTE, s.command, times, t)
    rest(m, COMPUTE, order, times, t)
    note = times[s.command]
    note.active = s.active
    note.waits = s.accumulator_waits
    note.first_issue = s.first_issue
    note.last_issue = s.pop
    s.output_active += s.outputs
    if s.elementwise == 0:
        s.mac_active += s.active
        s.mac_wait_accumulator += s.accumulator_waits
        s.mac_wait_window += t - s.start - s.active - s.accumulator_waits


@jit
def wants_window(m: Any, t: int) -> bool:
    """A window is asked for in cycle t."""
    return bool(m.compute.attempt <= t)


@jit
def step_compute(
    m: Any,
    commands: Any,
    steps: Any,
    order: Any,
    times: Any,
    contended: bool,
    quiet_until: int,
    t: int,
) -> int:
    """Evaluate cycle t, and on to `quiet_until`; returns when to come back.

    Parameters
    ----------
    contended : the store engine reads a word in this cycle.
    quiet_until : from the next cycle to the one before that, it surely does not.
    """
    s = m.compute
    slot = step_slot(m, COMPUTE, commands, order, times, t)
    if s.busy == 0:
        if m.engines[COMPUTE].valid_from > t:
            return slot
        _start(m, commands, order, times, t)
        return int(smaller(slot, s.attempt))
    if s.done_at == t:
        _finish(m, order, times, t)
        return t + 1
    if s.attempt > t:
        return int(smaller(smaller(slot, s.attempt), s.done_at))
    if contended:
        return t + 1
    forget_outputs(m, t)
    c = commands[s.command]
    fetch = t
    while True:
        s.fetch_active += 1
        if s.elementwise != 0:
            _elementwise_step(m, fetch)
        else:
            _grid_step(m, c, steps, fetch)
        fetch = s.attempt
        if fetch >= quiet_until or s.ring_count == OUTPUTS:
            return int(smaller(smaller(slot, s.attempt), s.done_at))
