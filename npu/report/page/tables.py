"""The numbers of a page: headline and tables, all from the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NONE_SIGN = "-"

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """What a cell shows, and the number by which its column is sorted, if it is one; a sentence
    may take several lines."""

    text: str
    value: float | None = None
    number: bool = False
    sentence: bool = False


@dataclass(frozen=True)
class Column:
    """A heading, and whether numbers stand below it."""

    name: str
    number: bool = False


@dataclass(frozen=True)
class PageTable:
    """A table that a click on a heading sorts; `id` names it in the page."""

    id: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Tile:
    """One figure of the headline."""

    name: str
    value: str


def number(value: float | None, digits: int = 0, unit: str = "") -> Cell:
    """A cell with a number, or with nothing."""
    if value is None:
        return Cell(NONE_SIGN, number=True)
    return Cell(f"{value:,.{digits}f}{unit}", value, number=True)


def share(value: float | None) -> Cell:
    """A cell with a part of one, in percent."""
    return number(None if value is None else 100 * value, 1, " %")


def make_table(name: str, headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> PageTable:
    """A table whose columns hold numbers where their first cells do."""
    kinds = [cell.number for cell in rows[0]] if rows else [False] * len(headings)
    columns = [Column(name, kind) for name, kind in zip(headings, kinds, strict=True)]
    return PageTable(name, columns, rows)


def run_tiles(record: Record) -> list[Tile]:
    """The headline of a run, of whatever the record has."""
    layers = record["layers"]
    on_npu = sum(layer["placed"] == "NPU" for layer in layers)
    tiles = []
    if record.get("cycles") is not None:
        tiles.append(Tile("cycles", f"{record['cycles']:,}"))
    clock = record.get("clock")
    if clock and record.get("milliseconds") is not None:
        told = f"at {clock['mhz']:.4g} MHz, {clock['origin']}"
        tiles.append(Tile(told, f"{record['milliseconds']:.3f} ms"))
    if record.get("utilization") is not None:
        told = f"utilization of {record['macs_per_cycle']} MACs/cycle"
        tiles.append(Tile(told, f"{100 * record['utilization']:.1f} %"))
    tiles += [
        Tile("operators on the NPU", f"{on_npu} of {len(layers)}"),
        Tile("useful MACs", f"{record['macs']:,}"),
    ]
    if record.get("bound"):
        told = f"of cycles: {record['bound']['by']}"
        tiles.append(Tile(told, f"{100 * record['bound']['share']:.0f} %"))
    if record.get("bit_exact") is not None:
        tiles.append(Tile("bit-exact with TFLM", "yes" if record["bit_exact"] else "NO"))
    return tiles


def layer_page_table(record: Record) -> PageTable:
    """Every layer with all its figures."""
    rows = []
    for layer in record["layers"]:
        bound, roof = layer.get("bound"), layer.get("roofline")
        rows.append(
            [
                number(layer["index"]),
                Cell(layer["op"]),
                Cell(layer["placed"]),
                number(layer["macs"]),
                number(layer["cycles"]),
                share(layer["utilization"] if layer["macs"] else None),
                Cell(f"{bound['by']} {100 * bound['share']:.0f} %" if bound else NONE_SIGN),
                number(roof["macs_per_byte"] if roof else None, 1),
                number(roof["read_bytes"] if roof else None),
                number(roof["written_bytes"] if roof else None),
                Cell(layer["reason"] or "", sentence=True),
            ]
        )
    headings = ("#", "operator", "ran on", "MACs", "cycles", "utilization", "bound by")
    memory = ("MACs/byte", "bytes read", "bytes written", "why not on the NPU")
    return make_table("layers", (*headings, *memory), rows)


def engine_table(record: Record) -> PageTable | None:
    """What each engine did in all cycles."""
    if not record.get("engines"):
        return None
    rows = [
        [Cell(engine), Cell(cause), number(cycles), share(cycles / record["cycles"])]
        for engine, causes in record["engines"].items()
        for cause, cycles in sorted(causes.items(), key=lambda item: -item[1])
    ]
    return make_table("engines", ("engine", "cause", "cycles", "share"), rows)


def pairs_table(
    name: str, headings: tuple[str, str], values: Mapping[str, Any] | None
) -> PageTable | None:
    """Names and values: numbers to sort by where they are numbers."""
    if not values:
        return None
    rows = [
        [
            Cell(key),
            # a year or an address would read worse with separators, a count better
            number(value)
            if isinstance(value, int) and not isinstance(value, bool)
            else Cell(str(value), number=True),
        ]
        for key, value in values.items()
        if value is not None
    ]
    return make_table(name, headings, rows)


def rung_table(record: Record) -> PageTable:
    """Every core of a comparison."""
    rows = [
        [
            Cell(rung["name"]),
            number(rung["cycles"]),
            number(None if rung["npu"] else rung["speedup"], 1, "x"),
            number(rung["code_bytes"]),
            number(rung["ram_bytes"]),
            Cell(rung["compiler"]),
            Cell(rung["flags"], sentence=True),
        ]
        for rung in record["rungs"]
    ]
    headings = ("core", "cycles", "NPU speedup", "code, bytes", "RAM, bytes", "compiler", "flags")
    return make_table("rungs", headings, rows)


def speedup_tiles(record: Record) -> list[Tile]:
    """The headline of a comparison."""
    tiles = [Tile("cycles with the NPU", f"{record['npu_cycles']:,}")]
    for rung in record["rungs"]:
        if not rung["npu"]:
            told = "" if rung["headline"] else " (not the honest baseline)"
            tiles.append(Tile(f"faster than {rung['name']}{told}", f"{rung['speedup']:,.1f}x"))
    busy = record["npu_busy_cycles"] / record["npu_cycles"]
    return [*tiles, Tile("of these cycles the NPU works", f"{100 * busy:.0f} %")]


def segment_table(record: Record) -> PageTable:
    """Every segment of a compiled file."""
    names = {
        "operators": "operators",
        "macs": "MACs",
        "command_bytes": "commands, bytes",
        "constant_bytes": "weights, bytes",
        "arena_bytes": "arena, bytes",
        "scratchpad_bytes": "scratchpad, bytes",
        "cycles": "cycles",
    }
    rows = [
        [
            Cell(f"{segment['first_operator']} to {segment['last_operator']}"),
            *(number(segment[key]) for key in names),
        ]
        for segment in record["summary"]["segments"]
    ]
    return make_table("segments", ("operators of the original", *names.values()), rows)


def compile_tiles(record: Record) -> list[Tile]:
    """The headline of a compiled file."""
    summary = record["summary"]
    segments = summary["segments"]
    arena = summary["tflm_arena_bytes"]
    return [
        Tile("bytes, the compiled file", f"{summary['file_bytes']:,}"),
        Tile("bytes, the original", f"{summary['original_bytes']:,}"),
        Tile("cycles of the NPU", f"{sum(segment['cycles'] for segment in segments):,}"),
        Tile("segments", f"{len(segments):,}"),
        Tile("bytes of TFLM's arena here", "-" if arena is None else f"{arena:,}"),
    ]
