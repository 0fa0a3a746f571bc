"""Tables and lines for the terminal: plain text when piped, never wider than a sane line."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from npu.golden import Comparison
from npu.model.graph import Graph
from npu.offload.result import LayerResult, RunResult, utilization

if TYPE_CHECKING:
    from sim.cycle.accounting import LayerAccount

# what rich would take for 80 columns, which folds the reasons why operators stay on the CPU
PIPE_COLUMNS = 120
# on a narrower terminal the roofline's columns would cut the figures of the others
ROOFLINE_COLUMNS = 110
# on a narrower one names would be folded into columns of letters
NARROW_COLUMNS = 72
# a network that keeps failing is told by its first tensors: the rest only follow from them
SHOWN_REPAIRED = 4
SHOWN_MISMATCHES = 5
NONE_SIGN = "-"
# classes of a score sheet that are shown
SHEET_LENGTH = 10


def make_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """A console for the user; without a terminal it prints no control codes, `PIPE_COLUMNS` wide.

    `COLUMNS` in the environment overrides the width. A `quiet` console prints nothing.
    """
    console = Console(stderr=stderr, highlight=False, quiet=quiet)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_COLUMNS
    return console


def print_run(
    console: Console,
    graph: Graph,
    result: RunResult,
    *,
    macs_per_cycle: int,
    bus_bytes: int,
    clock_mhz: float,
    setting: str,
    class_names: Sequence[str] | None = None,
) -> None:
    """The whole report of one inference: operators, totals, engines, prediction.

    `setting` names what ran it ("npu256, backend rtl, ..."), `clock_mhz` turns cycles into time,
    and `class_names` names the classes of the network's first output.
    """
    console.print(layer_table(result, macs_per_cycle, bus_bytes, console.width))
    for line in (
        *repair_lines(graph),
        totals_line(result, macs_per_cycle=macs_per_cycle, clock_mhz=clock_mhz, setting=setting),
        *account_lines(result, macs_per_cycle=macs_per_cycle, bus_bytes=bus_bytes),
        *prediction_lines(graph, result.outputs, class_names),
    ):
        print_line(console, line)


def repair_lines(graph: Graph) -> list[str]:
    """What is said of a file whose shapes were corrected when it was read."""
    if not graph.repaired:
        return []
    shown = ", ".join(map(str, graph.repaired[:SHOWN_REPAIRED]))
    hidden = len(graph.repaired) - SHOWN_REPAIRED
    more = f" and {hidden} more" if hidden > 0 else ""
    return [
        "the file left the batch open, and TFLM reads unwritten memory with it as it is: the stored"
        f" shapes of tensors {shown}{more} are corrected, here and for --check"
    ]


def print_comparison(console: Console, comparison: Comparison) -> None:
    """The line that says whether the run is bit-exact, and the first tensors that are not."""
    style = {True: "green", False: "bold red", None: "yellow"}[comparison.bit_exact]
    print_line(console, comparison.summary, style=style)
    for mismatch in comparison.mismatches[:SHOWN_MISMATCHES]:
        print_line(console, f"  {mismatch}")
    hidden = len(comparison.mismatches) - SHOWN_MISMATCHES
    if hidden > 0:
        print_line(console, f"  and {hidden} more tensors")


def print_line(console: Console, line: str, style: str = "") -> None:
    """One line as it is: no markup, no wrapping."""
    console.print(Text(line, style=style), soft_wrap=True)


def layer_table(
    result: RunResult, macs_per_cycle: int, bus_bytes: int, width: int = PIPE_COLUMNS
) -> Table:
    """One row per operator, and their totals; with accounts also what bound each, and, if `width`
    columns are enough, where it stands under the roofline; a narrow table leaves out the MACs.
    Names are folded, figures never cut."""
    table = Table(box=SIMPLE, show_footer=True, pad_edge=False, collapse_padding=True)
    narrow = width < NARROW_COLUMNS
    total = result.utilization(macs_per_cycle)
    on_npu = sum(layer.placed == "NPU" for layer in result.layers)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("operator", footer="total", overflow="fold", min_width=10)
    table.add_column("ran on", footer=f"NPU {on_npu} of {len(result.layers)}", overflow="fold")
    if not narrow:
        table.add_column("MACs", justify="right", footer=_count(result.macs), no_wrap=True)
    table.add_column("cycles", justify="right", footer=_count(result.cycles), no_wrap=True)
    table.add_column("utilization", justify="right", footer=_percent(total), no_wrap=True)
    accounted = result.account is not None
    shown = 3 if width >= ROOFLINE_COLUMNS else 1
    if accounted:
        limits = _limit_cells(result.account, macs_per_cycle, bus_bytes)[:shown]
        table.add_column("bound by", footer=limits[0], overflow="fold")
        for heading, footer in zip(("MACs/byte", "of roof"), limits[1:], strict=False):
            table.add_column(heading, justify="right", footer=footer, no_wrap=True)
    for layer in result.layers:
        used = utilization(layer.macs, layer.cycles, macs_per_cycle)
        table.add_row(
            str(layer.index),
            Text(layer.kind),
            Text(_where(layer)),
            *(() if narrow else (_count(layer.macs),)),
            _count(layer.cycles),
            _percent(used if layer.macs else None),
            *(_limit_cells(layer.account, macs_per_cycle, bus_bytes)[:shown] if accounted else ()),
        )
    return table


def _limit_cells(
    account: "LayerAccount | None", macs_per_cycle: int, bus_bytes: int
) -> tuple[str, str, str]:
    """What bound a layer, its MACs per byte, and how much of the roofline it reaches."""
    from npu.report.roofline import bound_by, roofline

    if account is None or not account.cycles:
        return NONE_SIGN, NONE_SIGN, NONE_SIGN
    cause, share = bound_by(account)
    place = roofline(account, macs_per_cycle=macs_per_cycle, bus_bytes=bus_bytes)
    if place is None:
        return f"{cause} {100 * share:.0f} %", NONE_SIGN, NONE_SIGN
    intensity = NONE_SIGN if place.intensity is None else f"{place.intensity:,.1f}"
    return f"{cause} {100 * share:.0f} %", intensity, _percent(place.share)


def account_lines(result: RunResult, *, macs_per_cycle: int, bus_bytes: int) -> list[str]:
    """What each engine did in all cycles, and the roofline position; none without accounts."""
    from npu.report.roofline import roofline

    account = result.account
    if account is None or not account.cycles:
        return []
    lines = []
    for name in ("load", "compute", "store"):
        causes = sorted(getattr(account, name).items(), key=lambda item: -item[1])
        parts = [f"{cause} {_percent(cycles / account.cycles)}" for cause, cycles in causes]
        lines.append(f"{name} engine: {', '.join(parts)}")
    place = roofline(account, macs_per_cycle=macs_per_cycle, bus_bytes=bus_bytes)
    if place is not None:
        intensity = NONE_SIGN if place.intensity is None else f"{place.intensity:,.1f}"
        lines.append(
            f"roofline: {intensity} MACs/byte of {account.read_bytes:,} bytes read and "
            f"{account.written_bytes:,} written; {place.attained:.1f} of "
            f"{place.attainable:.1f} attainable MACs/cycle"
        )
    return lines


def totals_line(result: RunResult, *, macs_per_cycle: int, clock_mhz: float, setting: str) -> str:
    """Total cycles and time, and what they are the cycles of."""
    if result.cycles is None:
        return f"{_count(result.macs)} MACs, not timed ({setting})"
    untimed = any(layer.placed != "NPU" and layer.cycles is None for layer in result.layers)
    note = "; operators on the CPU are not timed" if untimed else ""
    return (
        f"{_count(result.cycles)} cycles, {milliseconds(result.cycles, clock_mhz):.3f} ms at "
        f"{clock_mhz:g} MHz, utilization {_percent(result.utilization(macs_per_cycle))} of "
        f"{macs_per_cycle} MACs/cycle ({setting}{note})"
    )


def prediction_lines(
    graph: Graph,
    outputs: Mapping[int, NDArray[Any]],
    class_names: Sequence[str] | None = None,
) -> list[str]:
    """The predicted class of every output that is one row of scores, and its sorted scores.

    There are none for other networks.

    An output as large as an input is taken for a reconstruction (an autoencoder's), not scores.
    """
    reconstructions = {graph.tensors[i].size for i in graph.inputs}
    lines = []
    for index in graph.outputs:
        tensor = graph.tensors[index]
        scores = np.asarray(outputs[index])
        rows = scores.size // scores.shape[-1] if scores.ndim else 0
        if rows != 1 or scores.size < 2 or scores.size in reconstructions:
            continue
        values = scores.reshape(-1).astype(np.float64)
        if tensor.quantization is not None and tensor.quantization.per_tensor:
            values = (values - tensor.quantization.zero_point) * tensor.quantization.scale
        names = dict(enumerate(class_names or ()))
        # of equal scores the first class wins, as everywhere
        order = [int(i) for i in np.argsort(-values, kind="stable")]
        named = [f"{i} ({names[i]})" if i in names else str(i) for i in order]
        lines.append(f"predicted class: {named[0]}, score {values[order[0]]:.3f}")
        sheet = [f"{name} {values[i]:.3f}" for name, i in zip(named, order, strict=True)]
        more = f", and {len(sheet) - SHEET_LENGTH} more" if len(sheet) > SHEET_LENGTH else ""
        lines.append(f"score sheet: {', '.join(sheet[:SHEET_LENGTH])}{more}")
    return lines


def milliseconds(cycles: int, clock_mhz: float) -> float:
    """Duration of `cycles` at `clock_mhz`, in milliseconds."""
    return cycles / (clock_mhz * 1000.0)


def _where(layer: LayerResult) -> str:
    told = layer.placed != "NPU" and layer.reason
    return f"{layer.placed}: {layer.reason}" if told else layer.placed


def _count(number: int | None) -> str:
    return NONE_SIGN if number is None else f"{number:,}"


def _percent(fraction: float | None) -> str:
    return NONE_SIGN if fraction is None else f"{100 * fraction:.1f} %"
