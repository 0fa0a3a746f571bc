"""`npu optimize`: prune, cluster and quantize a network, and say what the hardware makes of it."""

from npu.commands import optimize_options as options
from npu.commands.arguments import DEFAULT_CONFIG, ConfigOption
from npu.commands.progress import progress_bar, step_log
from npu.optimize.choices import Format, Granularity, Start
from npu.optimize.settings import DENSE_DEFAULT


def optimize(
    model: options.Network,
    out: options.Out,
    data: options.Data = None,
    validation: options.Validation = None,
    test: options.Test = None,
    prune: options.Prune = None,
    granularity: options.WhatIsZero = Granularity.WORD,
    cluster: options.Cluster = None,
    start: options.ClusterStart = Start.DENSITY,
    dense: options.Dense = DENSE_DEFAULT,
    config: ConfigOption = DEFAULT_CONFIG,
    format: options.FileFormat = Format.TFLITE,
    seed: options.Seed = 0,
) -> None:
    """Prune and cluster a network, measured after each stage.

    FOLDER gets a .tflite for each stage, report.json, and report.html with plots.
    """
    from npu.optimize.data import load_dataset
    from npu.optimize.report import stage_table
    from npu.optimize.run import Task, optimize
    from npu.optimize.settings import Pruning, Settings
    from npu.report.tables import make_console, print_line
    from rtl.config import load_config

    hardware = load_config(config)
    settings = Settings(
        prune=None if prune is None else Pruning.parse(prune),
        granularity=granularity,
        clusters=cluster,
        start=start,
        dense=frozenset(dense.split(",")),
        seed=seed,
    )
    dataset = None
    if data is not None:
        dataset = load_dataset(data, validation=validation, test=test, seed=seed)
    with progress_bar("optimizing") as bar:
        task = Task(
            model=model,
            out=out,
            config=hardware,
            config_name=config,
            data=dataset,
            format=format,
            log=step_log(model.stem),
            progress=lambda _: bar,
        )
        report = optimize(task, settings)
    console = make_console()
    console.print(stage_table(report.stages))
    for note in report.notes:
        print_line(console, note)
    print_line(console, f"written to {out}: {', '.join(s.file for s in report.stages)}, report")
