"""`npu configs`: the presets and their derived numbers."""

from typing import Annotated, Any

import typer

from rtl.config import DEFAULT_PRESET, PRESETS, NpuConfig


def configs(
    json: Annotated[bool, typer.Option("--json", help="Write JSON to standard output.")] = False,
) -> None:
    """List the hardware presets and their derived numbers."""
    from npu.report.record import STDOUT, write_json

    records = [config_record(name, config) for name, config in PRESETS.items()]
    if json:
        write_json(records, STDOUT)
        return
    from rich.box import SIMPLE
    from rich.table import Table

    from npu.report.tables import NARROW_COLUMNS, make_console, print_line

    table = Table(box=SIMPLE, pad_edge=False)
    table.add_column("preset", no_wrap=True)
    console = make_console()
    narrow = console.width < NARROW_COLUMNS
    columns = {h: k for h, k in _COLUMNS.items() if not narrow or h not in _LEFT_OUT}
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for record in records:
        cells = (" x ".join(str(record[k]) for k in keys) for keys in columns.values())
        table.add_row(record["name"], *cells)
    console.print(table)
    print_line(console, "grid: pixels x channels x lanes; default: " + DEFAULT_PRESET)
    for record in records:
        if record["weight_formats"]:
            formats = ", ".join(record["weight_formats"])
            print_line(console, f"{record['name']} decodes weights: {formats}")


def config_record(name: str, config: NpuConfig) -> dict[str, Any]:
    """Every parameter of a preset, with `name`, `macs_per_cycle` and other derived numbers."""
    return {
        "name": name,
        "macs_per_cycle": config.macs_per_cycle,
        "banks": config.banks,
        "block_channels": config.block_channels,
        "weight_words": config.weight_words,
        "scratchpad_words": config.scratchpad_words,
        "weight_formats": [name.removesuffix("_weights") for name in config.weight_formats],
        **config.to_dict(),
    }


# headings of two lines, so that the table fits 80 columns
_COLUMNS: dict[str, tuple[str, ...]] = {
    "MACs/\ncycle": ("macs_per_cycle",),
    "grid": ("pixels", "channels", "lanes"),
    "accumu-\nlators": ("accumulator_depth",),
    "requant/\ncycle": ("requant_lanes",),
    "scratch-\npad KiB": ("scratchpad_kib",),
    "weights\nKiB": ("weight_buffer_kib",),
    "bus\nbytes": ("bus_bytes",),
}
# on a narrow terminal; `--json` has everything
_LEFT_OUT = ("accumu-\nlators", "requant/\ncycle", "bus\nbytes")
