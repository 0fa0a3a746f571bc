"""What all engines share: queue, command slot, completion, and the time in which they are busy.

Models `rtl.command_slot.CommandSlot`, the queues of `rtl.dispatcher` and the counting of
completions in `rtl.control`.
"""

from typing import Any

from sim.cycle.state import COMPUTE, DISPATCH_UNIT, LOAD, LOAD_UNIT, NEVER, STORE, UNITS
from sim.jit import jit, smaller

_WAIT_MASK = 0xFFFF
_WAIT_SIGN = 0x8000


@jit
def wake(m: Any, unit: int, t: int) -> None:
    """Evaluate a unit in cycle t at the latest."""
    if t < m.next[unit]:
        m.next[unit] = t


@jit
def next_event(m: Any) -> int:
    """The next cycle in which some unit must be evaluated."""
    t: int = m.next[0]
    for unit in range(1, UNITS):
        t = smaller(t, m.next[unit])
    return t


@jit
def _behind(engine: Any, count: int, t: int) -> bool:
    """Fewer than `count` completions are visible; counters and waits wrap."""
    done = engine.done
    if engine.done_at == t:
        done -= 1
    return bool(((done - count) & _WAIT_MASK) >= _WAIT_SIGN)


@jit
def waits_for(m: Any, command: Any, t: int) -> int:
    """The first engine that a command must still wait for, -1 if none."""
    if _behind(m.engines[LOAD], command.wait_load, t):
        return LOAD
    if _behind(m.engines[COMPUTE], command.wait_compute, t):
        return COMPUTE
    if _behind(m.engines[STORE], command.wait_store, t):
        return STORE
    return -1


@jit
def step_slot(m: Any, number: int, commands: Any, order: Any, times: Any, t: int) -> int:
    """Collect a beat or check the waits; returns when to come back."""
    engine = m.engines[number]
    if engine.whole_at == NEVER:
        queued = engine.queue
        if engine.queue_pushed_at >= t:
            queued -= 1
        if engine.queue_pushed_before >= t:
            queued -= 1
        if queued > 0:
            index = order[number, engine.slot_command]
            engine.queue -= 1
            engine.slot_beats += 1
            wake(m, DISPATCH_UNIT, t + 1)
            # the queue holds an index beat before the command's own
            if engine.slot_beats == commands[index].beats + 1:
                engine.whole_at = t + 1
                times[index].whole = t + 1
                return t + 1
        return t + 1 if engine.queue > 0 else NEVER
    if engine.valid_from == NEVER:
        index = order[number, engine.slot_command]
        if waits_for(m, commands[index], t) < 0:
            engine.valid_from = t + 1
            engine.waited += t + 1 - engine.whole_at
            times[index].valid = t + 1
            return t + 1
    return NEVER


@jit
def take_command(m: Any, number: int, order: Any, times: Any, t: int) -> int:
    """The engine takes the slot's command; returns its index."""
    engine = m.engines[number]
    index: int = order[number, engine.slot_command]
    engine.slot_command += 1
    engine.slot_beats = 0
    engine.whole_at = NEVER
    engine.valid_from = NEVER
    times[index].accepted = t
    if engine.queue > 0:
        wake(m, LOAD_UNIT + number, t + 1)
    if engine.busy_since == NEVER:
        engine.busy_since = t + 1
    return index


@jit
def complete(m: Any, number: int, index: int, times: Any, t: int) -> None:
    """A command completes in cycle t; slots see it in the next one."""
    engine = m.engines[number]
    engine.done += 1
    engine.done_at = t
    times[index].done = t
    for unit in range(LOAD_UNIT, LOAD_UNIT + 3):
        wake(m, unit, t + 1)


@jit
def busy_cycles(engine: Any, t: int) -> int:
    """Cycles up to t in which the engine was busy."""
    if engine.busy_since > t:
        return int(engine.busy)
    return int(engine.busy + t + 1 - engine.busy_since)


@jit
def rest(m: Any, number: int, order: Any, times: Any, t: int) -> None:
    """The engine is not busy from cycle t + 1 on."""
    engine = m.engines[number]
    times[order[number, engine.slot_command - 1]].rest = t + 1
    engine.busy += t + 1 - engine.busy_since
    engine.busy_since = NEVER
    engine.idle_from = t + 1
