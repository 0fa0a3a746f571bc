"""What a layer's time went to, from the trace of the engines and the commands' loop counts.

The counters are totals of a program; the trace says which engine was busy when, and for each
compute command its fields say how many cycles its grid and its output stage need at least.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rtl.config import NpuConfig
from rtl.isa import Command, Engine, Opcode
from sim.command_table import decode_table
from sim.program import Program
from sim.result import SimulationResult


@dataclass(frozen=True)
class Span:
    """A command on its engine, in cycles since START."""

    command: int
    start: int
    end: int

    def overlap(self, first: int, end: int) -> int:
        """Cycles that it shares with `first` to `end`."""
        return max(min(self.end, end) - max(self.start, first), 0)


@dataclass(frozen=True)
class Bound:
    """The cycles of one layer, divided by what they were spent on; the parts add up.

    `grid` (with its fetch of operands) and `output` are cycles with the compute engine busy, by
    which of the two its command needs longer; `load` and `store` those in which it waited while
    that engine worked (load first); `other` the rest: starts of commands, latency.
    """

    grid: int
    output: int
    load: int
    store: int
    other: int

    @property
    def label(self) -> str:
        """The largest part, and its share."""
        parts = vars(self)
        total = sum(parts.values())
        name, cycles = max(parts.items(), key=lambda part: part[1])
        return f"{name} {100 * cycles / total:.0f} %" if total else "-"


def layer_bounds(program: Program, result: SimulationResult) -> dict[int, Bound]:
    """The parts of each operator's cycles, as `npu.delegate.layer_cycles` divides them.

    `result` must be of a run with tracing.
    """
    table = decode_table(program.commands)
    spans = {engine: list(_spans(result, engine)) for engine in Engine}
    ends = {span.command: span.end for span in spans[Engine.COMPUTE]}
    bounds: dict[int, Bound] = {}
    first = 0
    for position, layer in enumerate(program.layers):
        end = max((ends[c] for c in layer.compute_commands), default=0)
        if position == len(program.layers) - 1 and result.cycles is not None:
            end = result.cycles
        end = max(first, end)
        parts = dict.fromkeys(("grid", "output", "load", "store"), 0)
        now = first
        for span in spans[Engine.COMPUTE]:
            busy = span.overlap(now, end)
            if busy:
                _add_waits(parts, spans, now, span.start)
                grid, output = compute_needs(table.command(span.command), program.config)
                parts["grid" if grid >= output else "output"] += busy
                now = min(span.end, end)
        _add_waits(parts, spans, now, end)
        bounds[layer.operator_index] = Bound(**parts, other=end - first - sum(parts.values()))
        first = end
    return bounds


def compute_needs(command: Command, config: NpuConfig) -> tuple[int, int]:
    """Least cycles of a compute command in the grid and in the output stage."""
    if command.opcode == Opcode.ELEMENTWISE:
        words = command["words"]
        # a window of each operand per group of pixels
        return 2 * -(-words // config.pixels), -(-words // config.requant_words)
    groups = command["ofm_height"] * -(-command["ofm_width"] // command["group_pixels"])
    groups *= command["blocks"]
    steps = command["kernel_height"] * command["kernel_width"]
    words = 1
    if command.opcode == Opcode.CONV:
        steps *= command["channel_steps"] * command["depth"]
        words = command["depth"] // config.groups_per_word
    pixels = min(command["group_pixels"], command["ofm_width"])
    return groups * steps, groups * words * -(-pixels // config.requant_words)


def _spans(result: SimulationResult, engine: Engine) -> Iterator[Span]:
    # an engine executes one command at a time
    started = 0
    for event in result.events:
        if event.engine == engine and event.start:
            started = event.cycle
        elif event.engine == engine:
            yield Span(event.command, started, event.cycle)


def _add_waits(parts: dict[str, int], spans: dict[Engine, list[Span]], now: int, end: int) -> None:
    """Count the cycles from `now` to `end` in which the load engine worked, or the store alone."""
    idle = max(end - now, 0)
    load = min(sum(span.overlap(now, end) for span in spans[Engine.LOAD]), idle)
    store = min(sum(span.overlap(now, end) for span in spans[Engine.STORE]), idle - load)
    parts["load"] += load
    parts["store"] += store
