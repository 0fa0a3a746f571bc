"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from rtl.config import DEFAULT_PRESET, PRESETS


def _presets(incomplete: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(incomplete)]


ModelArgument = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="A .tflite file, fully quantized.", show_default=False),
]
ConfigOption = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="PRESET|FILE.toml",
        help=f"The hardware: {', '.join(PRESETS)}, or a TOML file of parameters.",
        autocompletion=_presets,
    ),
]
DEFAULT_CONFIG = DEFAULT_PRESET
QuietOption = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print nothing but errors; files and the exit code say the rest."
    ),
]
ClockOption = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=1_000_000,
        metavar="MHZ",
        help="The clock that turns cycles into milliseconds. Default: what place and route reached "
        "for a preset, as far as that ships (`npu synth`), else 100.",
        show_default=False,
    ),
]
