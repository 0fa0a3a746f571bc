"""A whole run: a network in, the files of all stages and the report out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from npu.errors import ModelError, OptimizeError, OutputError
from npu.optimize.choices import Format
from npu.optimize.cpu import with_cpu_cycles
from npu.optimize.data import Dataset
from npu.optimize.granularity import Groups
from npu.optimize.lut_file import write_lut_file
from npu.optimize.measure import Progress
from npu.optimize.page import write_page
from npu.optimize.ready import measure_stages, optimize_ready
from npu.optimize.report import Outcome, Report
from npu.optimize.sensitivity import scan_ready
from npu.optimize.settings import Settings
from npu.optimize.training.environment import THREADS, prepare
from rtl.config import NpuConfig
from sim.cache import content_key

REPORT = "report.json"
PAGE = "report.html"
LUT_FILE = "tflm_lut.tflite"
MODEL_SUFFIXES = (".tflite", ".keras")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a run works on.

    Attributes
    ----------
    model : a `.tflite` or `.keras` file. out : the folder for all results, made when needed.
    config : the hardware. config_name : what the user calls it.
    data : None for a ready network whose accuracy is not asked for.
    format : of the last stage's file. threads : of training.
    checkpoints : a folder for those of training, which several runs share; None is one in `out`.
    sensitivity : whether each layer is pruned alone first. measure_cpu : whether a CPU without an
        NPU is simulated, where it was not before.
    log : called with one line about each step. progress : gives what moves the bar of a step.
    """

    model: Path
    out: Path
    config: NpuConfig
    config_name: str
    data: Dataset | None = None
    format: Format = Format.TFLITE
    threads: int = THREADS
    checkpoints: Path | None = None
    sensitivity: bool = False
    measure_cpu: bool = False
    log: Callable[[str], None] | None = None
    progress: Callable[[str], Progress] | None = None


def optimize(task: Task, settings: Settings) -> Report:
    """Run all stages that `settings` asks for, and write files and report to `task.out`.

    Raises
    ------
    NpuError : the network, the data or the settings are refused, or a file cannot be written.
    """
    if task.model.suffix not in MODEL_SUFFIXES:
        raise OptimizeError(
            f"'{task.model}' is neither a .tflite nor a .keras file: those are optimized"
        )
    content = read_file(task.model)
    make_folder(task.out)
    if task.model.suffix == ".keras":
        done = _train(task, settings, content)
    else:
        done = _rewrite(task, settings, content)
    notes = list(done.notes)
    if task.format is Format.TFLM_LUT:
        notes.append(save_lut_file(done.last, task.out))
    stages, told = with_cpu_cycles(
        done.stages, task.out, task.config, measure=task.measure_cpu, log=task.log
    )
    report = Report(
        model=task.model.name,
        config=task.config_name,
        settings=settings.to_dict(),
        stages=stages,
        notes=[*notes, told],
        sensitivity=done.sensitivity,
        key=run_key(task, settings, content),
    )
    return save_report(report, task.out)


def run_key(task: Task, settings: Settings, content: bytes) -> str:
    """Identifies a run by all that its report depends on; `content` is that of the model's file."""
    data = [] if task.data is None else task.data.arrays()
    asked = [str(task.format), str(task.sensitivity), str(task.measure_cpu), repr(settings)]
    return content_key(content, repr(task.config), asked, *(array.tobytes() for array in data))


def _rewrite(task: Task, settings: Settings, content: bytes) -> Outcome:
    """All stages of a ready network."""
    stages, notes = optimize_ready(content, settings, task.config)
    rows = []
    if task.sensitivity:
        if task.data is None:
            raise OptimizeError("--sensitivity needs --data: accuracies are what it shows")
        groups = Groups.of(settings.granularity, task.config)
        rows = scan_ready(content, groups, task.data.validation, task.log)
    held_out = None if task.data is None else task.data.test
    results = measure_stages(stages, task.config, task.out, held_out, task.progress)
    return Outcome(results, notes, stages[-1][1], rows)


def _train(task: Task, settings: Settings, content: bytes) -> Outcome:
    """All stages of a Keras model."""
    if task.data is None:
        raise OptimizeError("a Keras model needs --data: to train, to calibrate, to measure")
    prepare(settings.seed, task.threads)
    # only now: they import TensorFlow
    from npu.optimize.training.models import load_keras
    from npu.optimize.training.pipeline import optimize_keras

    return optimize_keras(
        load_keras(task.model),
        task.data,
        settings,
        task.config,
        out=task.out,
        identity=content,
        checkpoints=task.checkpoints,
        sensitivity=task.sensitivity,
        log=task.log,
        progress=task.progress,
    )


def save_lut_file(content: bytes, out: Path) -> str:
    """Write a network's clustered weights as TFLM's lookup tables; returns a line about it.

    Raises
    ------
    OptimizeError : there is nothing to write, or nothing to write it with.
    """
    compressed, names = write_lut_file(content)
    (out / LUT_FILE).write_bytes(compressed)
    return (
        f"{LUT_FILE} for TFLM: {len(compressed):,} of {len(content):,} bytes, lookup tables in"
        f" {', '.join(names)}"
    )


def read_file(path: Path) -> bytes:
    """The content of a network's file.

    Raises
    ------
    ModelError : it cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise ModelError(f"cannot read model '{path}': it is not a regular file")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read model '{path}': {error.strerror or error}") from None


def make_folder(path: Path) -> None:
    """Make the folder for results.

    Raises
    ------
    OutputError : it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make folder '{path}': {error.strerror or error}") from None


def save_report(report: Report, out: Path) -> Report:
    """Write the record and the page; returns the report.

    Raises
    ------
    OutputError : a file cannot be written.
    """
    write_page(report, out / PAGE)
    try:
        text = json.dumps(report.record(), indent=2) + "\n"
        (out / REPORT).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{out / REPORT}': {error.strerror or error}") from None
    return report
