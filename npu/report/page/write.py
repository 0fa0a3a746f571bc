"""Writes a page: one HTML file that opens without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npu.errors import OutputError
from npu.report.page import tables
from npu.report.page.compiled_figures import segment_bytes_figure, segment_cycles_figure
from npu.report.page.layer_figures import cycles_figure, network_figure, roofline_figure
from npu.report.page.speedup_figures import rungs_figure
from npu.report.page.tables import PageTable, Tile
from npu.report.page.time_figures import map_figure, memory_figure, timeline_figure

Record = Mapping[str, Any]

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, a figure, tables.

    Attributes
    ----------
    choices : of a list from which the page's own script shows one.
    codes : titles by id of texts that can be copied, which such a script fills.
    """

    id: str
    title: str
    text: str = ""
    figure: dict[str, Any] | None = None
    tables: tuple[PageTable, ...] = ()
    choices: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)


def write_page(record: Record, path: Path) -> None:
    """Write the page of a record to a file; see `page_text`.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    try:
        path.write_text(page_text(record), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None


def page_text(record: Record) -> str:
    """The page of a record, with the record itself in it as JSON, in the element `record`; there
    the network's outputs are without their values.

    Parameters
    ----------
    record : what `npu run`, `npu speedup` or `npu compile` writes with `--json` (`schema` says
        which), and of what `npu.report.picture.picture_record` adds, whatever there is: a figure
        without its data is left out.
    """
    tiles, sections = {
        "npu-run": (tables.run_tiles, _run_sections),
        "npu-speedup": (tables.speedup_tiles, _speedup_sections),
        "npu-compile": (tables.compile_tiles, _compile_sections),
    }[record["schema"]]
    return render_page(
        title=Path(record["model"]).stem + f" on {record['config']}",
        lines=[_setting(record)],
        tiles=tiles(record),
        sections=sections(record),
        footer=f"{record['tool']} {record['tool_version']}; {record['model']},"
        f" SHA-256 {record['model_sha256']}",
        record={**record, "outputs": [_without_data(o) for o in record.get("outputs", ())]},
    )


def render_page(
    *,
    title: str,
    lines: Sequence[str],
    tiles: Sequence[Tile],
    sections: Sequence[Section],
    footer: str,
    record: Record,
    script: str = "",
) -> str:
    """A page of these parts, with `record` in it as JSON; `script` runs when figures are drawn."""
    # both take their time to import
    from jinja2 import Environment
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    template = Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        title=title,
        lines=lines,
        tiles=tiles,
        sections=sections,
        footer=footer,
        record=record,
        # the library's own file and ours, which are no text to be escaped
        plotly=Markup(get_plotlyjs()),
        script=Markup(script),
    )


def _without_data(output: Record) -> dict[str, Any]:
    return {key: value for key, value in output.items() if key != "data"}


def _setting(record: Record) -> str:
    parameters = record["parameters"]
    grid = " x ".join(str(parameters[name]) for name in ("pixels", "channels", "lanes"))
    told = f"{record['macs_per_cycle']} MACs per cycle ({grid}),"
    told += f" {parameters['scratchpad_kib']} KiB of scratchpad,"
    told += f" {parameters['weight_buffer_kib']} KiB of weight buffer,"
    told += f" a bus of {parameters['bus_bytes']} bytes"
    if record.get("backend"):
        told += f"; backend {record['backend']}"
    if record.get("memory"):
        told += f", memory latency {record['memory']['latency_cycles']} cycles"
    return told


def _run_sections(record: Record) -> list[Section]:
    sections = [
        Section(
            "network",
            "Network",
            "From top to bottom in execution order; colour says where an operator ran, size how"
            " many cycles it took. Lines to the left skip operators.",
            network_figure(record) if "network" in record else None,
        ),
        Section(
            "cycles",
            "Cycles of each layer",
            "What the compute engine did, or waited for, in the layer's cycles.",
            cycles_figure(record),
        ),
        Section(
            "roofline",
            "Roofline",
            "Layers that move data: MACs per cycle over MACs per byte, and what the multipliers"
            " or the memory allow. Above the line are layers whose weights were loaded in the time"
            " of others.",
            roofline_figure(record),
        ),
        Section(
            "timeline",
            "Engines over time",
            "Compute by operator; loads by what they fill. Below, how much of the scratchpad is in"
            " use. Drag to zoom, double-click for all.",
            timeline_figure(record),
        ),
        Section(
            "scratchpad",
            "Scratchpad",
            "Which operator's values lie where, over time, in the colours of the timeline.",
            map_figure(record),
        ),
        Section(
            "memory",
            "External memory",
            "Each region from its first byte; of the arena, the tensors in it.",
            memory_figure(record),
        ),
    ]
    engines = tables.engine_table(record)
    rest = [
        tables.pairs_table("parameters", ("parameter", "value"), record["parameters"]),
        tables.pairs_table("counters", ("counter", "events"), record.get("counters")),
        engines,
        tables.pairs_table("memory-timing", ("external memory", "value"), record.get("memory")),
    ]
    kept = [section for section in sections if section.figure]
    return [
        *kept,
        Section(
            "numbers",
            "Layers in numbers",
            "A click on a heading sorts.",
            None,
            (tables.layer_page_table(record),),
        ),
        Section(
            "rest",
            "Hardware, counters, engines",
            "",
            None,
            tuple(table for table in rest if table is not None),
        ),
    ]


def _speedup_sections(record: Record) -> list[Section]:
    parameters = tables.pairs_table("parameters", ("parameter", "value"), record["parameters"])
    assert parameters is not None
    return [
        Section(
            "cycles",
            "The whole network on each core",
            f"In RTL simulation, at equal clock, with memories of {record['wait_states']} wait"
            " states for all. The optimized kernels are the honest baseline.",
            rungs_figure(record),
        ),
        Section(
            "numbers",
            "In numbers",
            "A click on a heading sorts.",
            None,
            (tables.rung_table(record),),
        ),
        Section("rest", "Hardware", "", None, (parameters,)),
    ]


def _compile_sections(record: Record) -> list[Section]:
    summary = record["summary"]
    reasons = {f"operator {i}": reason for i, reason in summary["cpu_operators"].items()}
    rest = [
        tables.pairs_table("stays", ("stays on the CPU", "why"), reasons),
        tables.pairs_table("parameters", ("parameter", "value"), record["parameters"]),
    ]
    return [
        Section(
            "cycles",
            "Cycles of each segment",
            "By the cycle model, which equals the RTL.",
            segment_cycles_figure(record),
        ),
        Section(
            "bytes",
            "Bytes of each segment",
            "What stands in the file instead of its operators: commands, and weights for the NPU.",
            segment_bytes_figure(record),
        ),
        Section(
            "numbers",
            "Segments in numbers",
            "A click on a heading sorts. Arena: memory that a segment needs while it runs.",
            None,
            (tables.segment_table(record),),
        ),
        Section("rest", "Operators that stay, hardware", "", None, tuple(t for t in rest if t)),
    ]
