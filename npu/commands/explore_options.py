"""Options of `npu explore` beside those of a plain sweep."""

from pathlib import Path
from typing import Annotated

import typer

ModelsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL[:WEIGHT]...",
        help="Fully int8 .tflite files. A search adds up what they take, each times its weight "
        "(1).",
        show_default=False,
    ),
]
VaryOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=V1,V2,...",
        help="Values of a hardware parameter (those of `npu configs --json`), of "
        "latency_cycles or of preset; once for each that varies. Without a search all "
        "combinations are run; parameters that are not varied follow where hardware would be "
        "illegal. Default: all presets.",
        show_default=False,
    ),
]
ObjectiveOption = Annotated[
    str | None,
    typer.Option(
        metavar="METRIC,...",
        help="Search for what is best in these: time (ms at the point's own estimated clock), "
        "area (LUTeq, estimated), energy (estimated), cycles, dsp, bram, accuracy, ... "
        "Default of a search: time,area.",
        show_default=False,
    ),
]
ConstraintOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="METRIC<=N",
        help="What a point must hold, such as 'lut<=24000' or 'accuracy>=0.9'; once for each.",
        show_default=False,
    ),
]
SpaceOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        help="What a search varies: a list of values by parameter. Default: grid, memories, bus, "
        "and decoders that the networks have weights for.",
        show_default=False,
    ),
]
BudgetOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Points that a search runs; 500.", show_default=False),
]
SamplerOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="nsga2 (default), tpe, random or grid.", show_default=False),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the search's choices.")]
VariantsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="Variants of the one network with their accuracy, as `npu optimize --sweep` writes "
        "them: searched together with the hardware.",
        show_default=False,
    ),
]
EnergyOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.toml",
        help="Picojoules of operations, over those of Horowitz, ISSCC 2014.",
        show_default=False,
    ),
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.sqlite",
        help="Where results are kept and taken from. Default: the cache folder.",
        show_default=False,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.sqlite",
        help="Show the last search of a store again, and run nothing.",
        show_default=False,
    ),
]
PageOption = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="OUT.html",
        help="Write a page with the front, one file that opens offline.",
        show_default=False,
    ),
]
TomlOption = Annotated[
    Path | None,
    typer.Option(
        "--toml",
        metavar="OUT.toml",
        help="Write the hardware of the front's middle, for `npu run --config`.",
        show_default=False,
    ),
]
SynthesizeOption = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="Synthesize N points of the front (minutes each), and show both areas.",
    ),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        metavar="tcp://HOST:PORT",
        help="Run points on the workers of a Dask cluster (pip install "
        "'npu-codesign[cluster]'); default: processes of this machine.",
        show_default=False,
    ),
]
OutOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE.csv|FILE.parquet", help="Save all rows there; may be given twice."),
]
JobsOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Parallel processes; default: one per processor."),
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Do not take finished points from earlier runs.")
]
LatencyOption = Annotated[
    int, typer.Option(metavar="CYCLES", help="Latency of the external memory.")
]
