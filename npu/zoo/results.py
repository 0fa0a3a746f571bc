"""What the bench measured as documents: `RESULTS.md`, and a table for the README."""

from collections.abc import Sequence
from pathlib import Path

from npu.errors import OutputError
from npu.zoo.bench import DENSE, OPTIMIZED, Row, area

RESULTS = Path(__file__).parent / "RESULTS.md"
README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- zoo:begin -->", "<!-- zoo:end -->"
LICENCES = Path("trained") / "LICENSES.md"
"""Beside the results."""

NONE_SIGN = "-"

COLUMNS = (
    *("", "network", "data", "float", "int8", "optimized, int8", "published", "parameters"),
    *("MACs", "bytes, plain / compressed", f"cycles, {DENSE} dense / {OPTIMIZED} optimized"),
    *("speedup, dense / optimized", "RAM, CPU", "energy, estimated uJ", "bit-exact"),
)

EXPLANATION = """\
Written by `npu zoo bench`, which measures costs anew; accuracies are those that `npu zoo train`
measured of these files, on data that neither trained nor chose anything. *Bytes*: the file of the
dense network, and what the NPU loads of weights in one inference of the optimized one (pruned by
words and clustered to 16 values, from the same training). *Cycles* are those of the cycle model,
which are the RTL's. *Speedup* is over one VexRiscv with optimized int8 kernels, at equal clock,
measured in RTL simulation of the dense network. *RAM* is what that run took: tensors, variables and
stack. *Bit-exact* compares all tensors of both networks with TFLM.
*Energy* is an estimate: activity of the cycle model times a published table of operations;
registers and leakage are left out; nothing was measured, and the CPU's is not in it.
"""


def zoo_table(rows: Sequence[Row]) -> str:
    """A line for each system, in Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|---|---|---|{'---:|' * (len(COLUMNS) - 3)}"]
    for row in rows:
        lines.append(f"| {' | '.join(_cells(row))} |")
    return "\n".join(lines) + "\n"


def _cells(row: Row) -> list[str]:
    system, record = row.system, row.record
    cells = [system.letter, system.title, system.data]
    if record is None or record.dense is None or record.optimized is None:
        return [*cells, *[NONE_SIGN] * 3, system.published, *[NONE_SIGN] * 8]
    assert row.dense is not None
    assert row.optimized is not None
    cells += [
        f"{record.dense.float_accuracy:.2%}",
        f"{record.dense.int8_accuracy:.2%}",
        f"{record.optimized.int8_accuracy:.2%}",
        system.published,
        f"{record.parameters:,}",
        f"{row.dense.macs:,}",
        f"{row.dense.file_bytes:,} / {_count(row.optimized.stream_bytes)}",
        f"{_count(row.dense.cycles)} / {_count(row.optimized.cycles)}",
    ]
    if row.cpu is None or not row.dense.cycles or not row.optimized.cycles:
        cells += [NONE_SIGN, NONE_SIGN]
    else:
        ratios = [
            row.cpu.cycles / each.cycles for each in (row.dense, row.optimized) if each.cycles
        ]
        cells += [" / ".join(f"{ratio:,.0f}x" for ratio in ratios), f"{row.cpu.ram_bytes:,}"]
    cells.append(" / ".join(f"{each:.2f}" for each in row.energies) or NONE_SIGN)
    return [*cells, "yes" if row.bit_exact else "**no**"]


def document(rows: Sequence[Row]) -> str:
    """`RESULTS.md`."""
    sizes = ", ".join(f"{preset} {area(preset):,.0f}" for preset in (DENSE, OPTIMIZED))
    told = f"Area, LUTeq of ECP5, estimated by fits over synthesized blocks: {sizes}.\n"
    parts = ["# The zoo, measured\n", EXPLANATION + told, zoo_table(rows)]
    for row in rows:
        if not row.tables and not row.missing:
            continue
        parts.append(f"## {row.system.letter}: {row.system.title}\n")
        parts += [table.markdown() for table in row.tables]
        parts += [f"Dashes: {reason}\n" for reason in row.missing]
    return "\n".join(parts)


def licences(rows: Sequence[Row]) -> str:
    """Of the data behind each committed network, as it lies beside them."""
    lines = [
        "# Licences of the data behind the networks\n",
        "What is marked share-alike binds the networks made from it in the same way.\n",
        "| network | data | licence of the data |\n|---|---|---|",
    ]
    for row in rows:
        if row.record is not None and row.record.dense is not None:
            bound = " (share-alike)" if row.record.share_alike else ""
            lines.append(f"| {row.system.slug} | {row.record.data} | {row.record.licence}{bound} |")
    return "\n".join(lines) + "\n"


def write_results(
    rows: Sequence[Row], results: Path = RESULTS, readme: Path = README
) -> list[Path]:
    """Write the documents; the README only where it lies beside the package and has a place for it.

    Returns what was written.

    Raises
    ------
    OutputError : a file cannot be written.
    """
    beside = results.parent / LICENCES
    written = [results, beside]
    texts = {results: document(rows), beside: licences(rows)}
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        before, begin, rest = text.partition(BEGIN)
        _, end, after = rest.partition(END)
        if begin and end:
            texts[readme] = f"{before}{BEGIN}\n{short_table(rows)}{END}{after}"
            written.append(readme)
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None
    return written


def short_table(rows: Sequence[Row]) -> str:
    """The README's: what fits a page."""
    chosen = (0, 1, 2, 4, 5, 6, 8, 10, 11)
    lines = zoo_table(rows).splitlines()
    kept = [[line.split("|")[1:-1][i] for i in chosen] for line in lines]
    return "".join(f"|{'|'.join(cells)}|\n" for cells in kept)


def _count(number: int | None) -> str:
    return NONE_SIGN if number is None else f"{number:,}"
