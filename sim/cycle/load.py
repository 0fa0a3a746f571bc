"""Models `rtl.load_engine.LoadEngine`: which commands it works on."""

from typing import Any

from sim.cycle.bursts import splitter_ready, start_transfer
from sim.cycle.slots import next_event, step_slot, take_command, wake
from sim.cycle.state import JOBS, LOAD, NEVER, READS_UNIT
from sim.cycle.unpack import unpack
from sim.jit import jit, smaller


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
        and load.jobs < h.load_jobs
        and load.indices < h.load_jobs
        and splitter_ready(m.load_bursts, t)
    ):
        load.accept_at = t + 1
    return int(load.accept_at)


@jit
def step_load(
    m: Any, commands: Any, operations: Any, order: Any, times: Any, alone: bool, t: int
) -> int:
    """Evaluate cycle t and following ones; returns when to come back.

    Parameters
    ----------
    operations : of the weight decoder, all commands' one behind the other.
    alone : no other unit remains to be evaluated in cycle t, so that what others will change next
        is known.
    """
    engine = m.engines[LOAD]
    following = NEVER
    if engine.whole_at == NEVER or engine.valid_from == NEVER:
        following = step_slot(m, LOAD, commands, order, times, t)
    if engine.valid_from <= t:
        following = smaller(following, _front(m, commands, order, times, t))
    until = smaller(following, next_event(m)) if alone else t + 1
    return smaller(following, unpack(m, commands, operations, order, times, until, t))
