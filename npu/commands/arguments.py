"""Arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from rtl.config import DEFAULT_PRESET, PRESETS

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
    ),
]
DEFAULT_CONFIG = DEFAULT_PRESET
ClockOption = Annotated[
    float, typer.Option(min=0.001, help="The clock that turns cycles into milliseconds.")
]
DEFAULT_CLOCK_MHZ = 100.0
