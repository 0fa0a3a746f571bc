"""The model's main loop: from event to event until the interrupt."""

from typing import Any

from sim.cycle.bursts import start_transfer
from sim.cycle.compute import step_compute, wants_window
from sim.cycle.dispatch import END, step_dispatch
from sim.cycle.load import step_load
from sim.cycle.reads import step_reads
from sim.cycle.slots import busy_cycles, next_event, wake
from sim.cycle.state import (
    COMPUTE,
    COMPUTE_UNIT,
    DISPATCH_UNIT,
    ENGINES,
    LOAD,
    LOAD_UNIT,
    NEVER,
    ONE,
    READS_UNIT,
    START,
    STORE,
    STORE_UNIT,
    UNITS,
    ZERO,
)
from sim.cycle.store import quiet_until, step_store, wants_word
from sim.jit import entry, jit, larger

DONE, DEADLOCK = range(2)


@jit
def _due(m: Any, t: int) -> int:
    """A bit for every unit that is to be evaluated in cycle t; the note of it is deleted."""
    due = 0
    for unit in range(UNITS):
        if m.next[unit] <= t:
            due |= 1 << unit
            m.next[unit] = NEVER
    return due


@jit
def _engines_empty(m: Any) -> bool:
    """Nothing is queued, held or under way in any engine."""
    for number in range(ENGINES):
        engine = m.engines[number]
        if engine.queue != 0 or engine.slot_beats != 0 or engine.busy_since != NEVER:
            return False
    return True


@jit
def _finished_at(m: Any) -> int:
    """The cycle in which END completes, when all engines are empty."""
    t: int = m.dispatch.end_at
    for number in range(ENGINES):
        t = larger(t, m.engines[number].idle_from)
    return t


@jit
def _note_counters(m: Any, note: Any, t: int) -> None:
    """How far the other engines are at the end of cycle t, in which a compute command ended."""
    note.load_busy = busy_cycles(m.engines[LOAD], t)
    note.load_words = m.load.words
    note.load_stalls = m.load.write_stalls
    note.store_busy = busy_cycles(m.engines[STORE], t)
    note.store_words = m.store.words
    note.store_stalls = m.store.read_stalls


@jit
def _start(m: Any) -> None:
    """The command fetch takes the whole stream."""
    h, row_bytes = m.hardware, 8 * m.dispatch.total
    start_transfer(m.fetch, ZERO, row_bytes, ZERO, ONE, h.fetch_burst_bytes, h.bus_bytes, START)
    wake(m, READS_UNIT, m.fetch.offer_at)


@entry
def run(
    machine: Any, commands: Any, operations: Any, steps: Any, order: Any, times: Any
) -> tuple[int, int]:
    """Run until the interrupt.

    Parameters
    ----------
    machine : `[1]`, after `sim.cycle.state.reset`; holds the counters afterwards.
    commands, operations, steps, order : see `sim.cycle.commands`. times : is filled in.

    Returns (DONE, cycles) or (DEADLOCK, the command that the dispatcher was at).
    """
    m = machine[0]
    _start(m)
    while True:
        t = next_event(m)
        if t == NEVER:
            if m.halt_from == NEVER:
                return DEADLOCK, m.dispatch.command
            break
        # registers decide what is asked of the scratchpad, so before any of it changes
        word = wants_word(m)
        granted = word and m.contended_at != t - 1
        if granted and wants_window(m, t):
            m.contended_at = t
        due = _due(m, t)
        if due & 1 << READS_UNIT:
            wake(m, READS_UNIT, step_reads(m, t))
        if due & 1 << DISPATCH_UNIT:
            wake(m, DISPATCH_UNIT, step_dispatch(m, commands, t))
        if due & 1 << LOAD_UNIT:
            alone = due & (1 << COMPUTE_UNIT | 1 << STORE_UNIT) == 0
            wake(m, LOAD_UNIT, step_load(m, commands, operations, order, times, alone, t))
        if due & 1 << COMPUTE_UNIT:
            horizon = quiet_until(m, commands, order, t)
            following = step_compute(m, commands, steps, order, times, granted, horizon, t)
            wake(m, COMPUTE_UNIT, following)
        if due & 1 << STORE_UNIT:
            following = step_store(m, commands, order, times, word, granted, t)
            wake(m, STORE_UNIT, following)
        if m.engines[COMPUTE].done_at == t:
            _note_counters(m, times[order[COMPUTE, m.engines[COMPUTE].done - 1]], t)
        if m.dispatch.state == END and m.halt_from == NEVER and _engines_empty(m):
            m.halt_from = _finished_at(m) + 1
        if m.halt_from != NEVER and m.reads.level == 0 and t >= m.halt_from - 1:
            break
    # the NPU stops when the last answer to a burst of the command fetch has arrived
    return DONE, larger(m.halt_from - 1, m.reads.last_beat_at)
