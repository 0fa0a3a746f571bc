"""What was found out as tables and lines for the terminal."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE
from rich.table import Table

from npu.synth.blocks import Block
from npu.synth.labels import TOP
from npu.synth.paths import CriticalPath
from npu.synth.resources import size_name
from npu.synth.result import Cost
from npu.synth.shipped import Shipped
from npu.synth.targets import SPEED_GRADE, Family

SMALLEST_SHARE = 0.005
"""Blocks below are summed up in one row."""

NO_FIGURE = "-"


def resource_table(cost: Cost) -> Table:
    """The whole design's resources beside what the part has."""
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column(f"{cost.name}, {cost.target.name}", no_wrap=True)
    for name in ("used", "of", "%"):
        table.add_column(name, justify="right", no_wrap=True)
    capacity = {} if cost.target.part is None else cost.target.part.capacity
    for name, value in cost.figures.items():
        available = capacity.get(name)
        of = NO_FIGURE if available is None else f"{available:,}"
        share = NO_FIGURE if available is None else f"{100 * value / available:.1f}"
        table.add_row(name, number(value), of, share)
    return table


def block_table(cost: Cost) -> Table:
    """The hierarchy: all instances of each block together, the blocks in it included."""
    size = size_name(cost.target.family, mapped=cost.liberty is not None)
    others = [name for name in cost.figures if name != size]
    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("block, its ports kept", no_wrap=True)
    for name in ("count", size, "%", "own %", *others):
        # two lines, so that the table fits 100 columns
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    whole = cost.blocks.total[size] or 1
    hidden: dict[str, float] = dict.fromkeys(cost.figures, 0.0)
    small = 0
    path: list[str] = []
    for depth, block in _shown(cost.blocks, size, SMALLEST_SHARE * whole):
        if isinstance(block, _Hidden):
            small += 1
            hidden = {name: hidden[name] + block.block.total[name] for name in hidden}
            continue
        path[depth:] = [block.module]
        table.add_row(
            "  " * depth + _short(block.module, path[:-1]),
            str(block.count),
            number(block.total[size]),
            f"{100 * block.total[size] / whole:.1f}",
            f"{100 * block.own[size] / whole:.1f}",
            *(number(block.total[name]) for name in others),
        )
    if small:
        table.add_row(
            f"{small} smaller ones in them",
            "",
            number(hidden[size]),
            f"{100 * hidden[size] / whole:.1f}",
            "",
            *(number(hidden[name]) for name in others),
        )
    return table


class _Hidden:
    """A block too small for a row."""

    def __init__(self, block: Block) -> None:
        self.block = block


def _shown(
    block: Block, size: str, smallest: float, depth: int = 0
) -> list[tuple[int, Block | _Hidden]]:
    if block.total[size] < smallest:
        return [(depth, _Hidden(block))]
    rows: list[tuple[int, Block | _Hidden]] = [(depth, block)]
    for child in block.children:
        rows += _shown(child, size, smallest, depth + 1)
    return rows


def lines(cost: Cost) -> list[str]:
    """What is to be said beside the tables: fit, clock, critical path, tools."""
    said = []
    if cost.target.family is not Family.GENERIC:
        said.append(
            "Totals are of the flattened design, blocks of each on its own: their sum is larger."
        )
    if cost.overflow:
        said.append(f"{cost.name} does not fit {cost.target.name}: {', '.join(cost.overflow)}")
    if cost.routed:
        seeds = ", ".join(f"{routed.fmax_mhz:.1f}" for routed in cost.routed)
        said.append(
            f"Fmax {cost.median_mhz:.1f} MHz, the median of {len(cost.routed)} seeds ({seeds}),"
            f" {cost.target.name} -{SPEED_GRADE}, placed and routed without pins"
        )
        slowest = sorted(cost.routed, key=lambda routed: routed.fmax_mhz)
        middle = slowest[(len(slowest) - 1) // 2]
        if middle.path is not None:
            said += path_lines(middle.path, f"seed {middle.seed}")
    if cost.alone:
        said.append(
            f"Blocks routed alone, upper bound, not a clock: {cost.bound_mhz:.1f} MHz;"
            f" {', '.join(f'{name} {mhz:.1f}' for name, mhz in _slowest_first(cost.alone))}"
        )
    said.append("Tools: " + ", ".join(f"{name} {release}" for name, release in cost.tools.items()))
    return said


def presets_tables(shipped: Shipped) -> list[Table]:
    """All presets, and all cores: a table for each way of counting."""
    tables = []
    for columns, rows in _shipped_rows(shipped).items():
        table = Table(box=SIMPLE, pad_edge=False)
        for index, name in enumerate(columns):
            table.add_column(name, justify="right" if index > 1 else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        tables.append(table)
    return tables


def markdown_tables(shipped: Shipped) -> str:
    """`presets_tables` in Markdown."""
    lines = []
    for columns, rows in _shipped_rows(shipped).items():
        lines += [f"| {' | '.join(columns)} |", f"|---|---|{'---:|' * (len(columns) - 2)}"]
        lines += [*(f"| {' | '.join(row)} |" for row in rows), ""]
    return "\n".join(lines)


def _shipped_rows(shipped: Shipped) -> dict[tuple[str, ...], list[list[str]]]:
    """Rows by their columns."""
    found: dict[tuple[str, ...], list[list[str]]] = {}
    for costs in (shipped.presets, shipped.cores):
        for by_target in costs.values():
            for cost in by_target.values():
                routable = cost.target.part is not None
                clock = [f"Fmax MHz, -{SPEED_GRADE}"] if routable else []
                fits = ", does not fit" if cost.overflow else ""
                row = [cost.name, cost.target.name + fits, *map(number, cost.figures.values())]
                row += [clock_text(cost)] if routable else []
                found.setdefault(("", "target", *cost.figures, *clock), []).append(row)
    return found


def clock_text(cost: Cost) -> str:
    """The clock, the bound of blocks that were routed alone, or that there is neither."""
    if cost.median_mhz is not None:
        return f"{cost.median_mhz:.1f}"
    return NO_FIGURE if cost.bound_mhz is None else f"(< {cost.bound_mhz:.1f})"


def path_lines(path: CriticalPath, title: str) -> list[str]:
    """The critical path: its ends, time by block, and the way it takes."""
    by_block = ", ".join(f"{_place(block)} {spent:.1f}" for block, spent in path.by_block().items())
    way = " > ".join(
        f"{_place(segment.block)} ({segment.cells} cells, {segment.logic_ns:.1f} + "
        f"{segment.routing_ns:.1f})"
        for segment in path.segments
    )
    return [
        f"Critical path, {title}: {path.nanoseconds:.1f} ns from {path.start} to {path.end}",
        f"  ns by block: {by_block}",
        f"  its way (ns of logic + wires): {way}",
    ]


def number(value: float) -> str:
    """Whole numbers as such: halves exist only for block RAM."""
    return f"{value:,.1f}" if value % 1 else f"{value:,.0f}"


def _slowest_first(clocks: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(clocks.items(), key=lambda item: item[1])


def _place(block: str) -> str:
    return block if block != TOP else "top"


def _short(module: str, parents: Sequence[str]) -> str:
    """Without the name of the innermost block around it that it begins with."""
    for parent in reversed(parents):
        if module.startswith(f"{parent}_"):
            return module.removeprefix(f"{parent}_")
    return module
