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
    distill: options.Distill = 0.0,
    augment: options.Augment = None,
    max_loss: options.MaxLoss = None,
    sweep: options.Sweep = None,
    sensitivity: options.Sensitivity = False,
    measure_cpu: options.MeasureCpu = False,
    seed: options.Seed = 0,
    threads: options.Threads = 2,
) -> None:
    """Prune, cluster and quantize a network.

    It is measured after each stage.

    Stages are optional, and each keeps what those before it did. FOLDER gets a .tflite for each,
    report.json, and report.html with plots. An interrupted run goes on when it is started again.
    """
    from npu.optimize.augment import Augmentation
    from npu.optimize.data import load_dataset
    from npu.optimize.report import pareto_front, stage_tables
    from npu.optimize.run import Task, optimize
    from npu.optimize.sensitivity import sensitivity_table
    from npu.optimize.settings import Pruning, Settings
    from npu.optimize.sweep import parse_sweep
    from npu.optimize.sweep import sweep as run_all
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
        distill=distill,
        augment=None if augment is None else Augmentation.parse(augment),
        max_loss=max_loss,
        seed=seed,
    )
    varied = parse_sweep(sweep or [])
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
            sensitivity=sensitivity,
            measure_cpu=measure_cpu,
            log=step_log(model.stem),
            progress=lambda _: bar,
        )
        report = run_all(task, settings, varied) if varied else optimize(task, settings)
    console = make_console()
    for table in stage_tables(report.stages, console.width):
        console.print(table)
    if report.sensitivity:
        console.print(sensitivity_table(report.sensitivity))
    front = [stage.stage for stage in pareto_front(report.stages)]
    if varied and front:
        print_line(console, f"nothing has more accuracy in fewer cycles: {'; '.join(front)}")
    for note in report.notes:
        print_line(console, note)
    print_line(console, f"written to {out}: {', '.join(s.file for s in report.stages)}, report")
