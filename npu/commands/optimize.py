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
    quantize: options.Quantize = None,
    qat: options.Aware = False,
    format: options.FileFormat = Format.TFLITE,
    epochs: options.Epochs = 6,
    batch: options.Batch = 128,
    rate: options.Rate = 1e-3,
    max_loss: options.MaxLoss = None,
    seed: options.Seed = 0,
    threads: options.Threads = 2,
) -> None:
    """Prune, cluster and quantize a network.

    It is measured after each stage.

    Stages are optional, and each keeps what those before it did. FOLDER gets a .tflite for each,
    report.json, and report.html with plots. An interrupted run goes on when it is started again.
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
        quantize=quantize,
        qat=qat,
        dense=frozenset(dense.split(",")),
        epochs=epochs,
        batch=batch,
        rate=rate,
        max_loss=max_loss,
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
            threads=threads,
            log=step_log(model.stem),
            progress=lambda _: bar,
        )
        report = optimize(task, settings)
    console = make_console()
    console.print(stage_table(report.stages))
    for note in report.notes:
        print_line(console, note)
    print_line(console, f"written to {out}: {', '.join(s.file for s in report.stages)}, report")
