"""Models `rtl.dispatcher.Dispatcher`: commands from the fetched words to the engines' queues."""

from typing import Any

from sim.cycle.slots import wake
from sim.cycle.state import ENGINES, LOAD_UNIT, NEVER, READS_UNIT
from sim.jit import jit

DECODE, INDEX, BODY, END = range(4)


@jit
def _push(m: Any, number: int, t: int) -> bool:
    """Send a beat to an engine's queue, where it is pushed in the next cycle, unless that is full;
    the dispatcher's own commands have no queue."""
    if number >= ENGINES:
        return True
    engine = m.engines[number]
    if engine.queue == m.hardware.queue_beats:
        return False
    engine.queue += 1
    engine.queue_pushed_before = engine.queue_pushed_at
    engine.queue_pushed_at = t + 1
    wake(m, LOAD_UNIT + number, t + 2)
    return True


@jit
def step_dispatch(m: Any, commands: Any, t: int) -> int:
    """Evaluate cycle t; returns when to come back."""
    d = m.dispatch
    arrived = d.arrived_before if d.arrived_at == t else d.arrived
    command = commands[d.command]
    if d.state == DECODE:
        if arrived > d.taken:
            d.state = INDEX
            return t + 1
    elif d.state == INDEX:
        if _push(m, command.engine, t):
            d.state = BODY
            d.position = 0
            return t + 1
    elif d.state == BODY and arrived > d.taken and _push(m, command.engine, t):
        d.taken += 1
        if d.taken % m.hardware.fetch_item_words == 0:
            d.free += 1
            wake(m, READS_UNIT, t + 1)
        d.position += 1
        if d.position < command.beats:
            return t + 1
        if d.command + 1 < commands.shape[0]:
            d.command += 1
            d.state = DECODE
            return t + 1
        d.state = END
        # not before its last beat was checked
        d.end_at = t + 2
    return NEVER
