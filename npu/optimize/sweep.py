"""Several settings for one network, and which of them nothing beats: accuracy against cycles.

Each combination is a run of its own, in a folder of its own below `Task.out`. One that is finished
is taken from its report; one that was interrupted goes on from its checkpoints. All share these, so
that stages that several combinations begin with are trained once.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from npu.errors import OptimizeError
from npu.optimize.choices import Granularity, Quantization
from npu.optimize.measure import StageResult
from npu.optimize.report import Report
from npu.optimize.run import REPORT, Task, make_folder, optimize, read_file, run_key, save_report
from npu.optimize.settings import Pruning, Settings
from rtl.errors import NpuError

NONE = "none"
CHECKPOINTS = "checkpoints"

Varied = dict[str, tuple[str, ...]]
"""By the name of a setting, its values as the user wrote them."""


def _clusters(text: str) -> int:
    if not text.isdecimal():
        raise OptimizeError(f"--sweep cluster takes integers and {NONE}, got {text!r}")
    return int(text)


def _granularity(text: str) -> Granularity:
    if text not in list(Granularity):
        raise OptimizeError(f"--sweep granularity takes {', '.join(Granularity)}, got {text!r}")
    return Granularity(text)


def _quantization(text: str) -> Quantization:
    if text not in list(Quantization):
        raise OptimizeError(f"--sweep quantize takes {', '.join(Quantization)}, got {text!r}")
    return Quantization(text)


@dataclass(frozen=True)
class _Parameter:
    """A setting that can vary: its name in `Settings`, how it is read, whether it can be none."""

    field: str
    read: Callable[[str], Any]
    optional: bool = True


PARAMETERS = {
    "prune": _Parameter("prune", Pruning.parse),
    "granularity": _Parameter("granularity", _granularity, optional=False),
    "cluster": _Parameter("clusters", _clusters),
    "quantize": _Parameter("quantize", _quantization),
}
"""What can vary, by the names of the command line."""


def parse_sweep(options: Sequence[str]) -> Varied:
    """Values by setting from `NAME=VALUE,VALUE,...`, as `--sweep` takes them.

    Raises
    ------
    OptimizeError : no `=`, an unknown or repeated name, or a value that the setting does not take.
    """
    varied: Varied = {}
    for option in options:
        name, separator, listed = option.partition("=")
        name = name.strip()
        if not separator:
            raise OptimizeError(f"--sweep needs NAME=VALUE,VALUE,..., got {option!r}")
        if name not in PARAMETERS:
            raise OptimizeError(
                f"--sweep: unknown setting {name!r}; allowed: {', '.join(PARAMETERS)}"
            )
        if name in varied:
            raise OptimizeError(f"--sweep: {name} is given twice")
        values = [text.strip() for text in listed.split(",")]
        for value in values:
            _value(name, value)
        varied[name] = tuple(dict.fromkeys(values))
    return varied


def _value(name: str, text: str) -> Any:
    parameter = PARAMETERS[name]
    return None if parameter.optional and text == NONE else parameter.read(text)


def combinations(base: Settings, varied: Varied) -> dict[str, Settings]:
    """The settings of all combinations, by a name such as `prune=magnitude:0.5 cluster=16`.

    Raises
    ------
    OptimizeError : a value out of range.
    """
    found = {}
    for chosen in itertools.product(*varied.values()):
        values = dict(zip(varied, chosen, strict=True))
        name = " ".join(f"{key}={value}" for key, value in values.items())
        changes = {PARAMETERS[key].field: _value(key, value) for key, value in values.items()}
        found[name] = replace(base, **changes)
    return found


def sweep(task: Task, base: Settings, varied: Varied) -> Report:
    """Run all combinations, and write their report to `task.out`.

    Its stages are the network as it came, and the last stage of each combination. A combination
    that is refused is named in the notes.

    Raises
    ------
    NpuError : every combination is refused; the reason is that of the first.
    """
    if task.sensitivity:
        raise OptimizeError("--sensitivity is of one run: without --sweep")
    stages: list[StageResult] = []
    told: dict[str, list[str]] = {}
    refused: list[NpuError] = []
    points = combinations(base, varied)
    checkpoints = task.out / CHECKPOINTS
    make_folder(checkpoints)
    task = replace(task, checkpoints=checkpoints)
    for number, (name, settings) in enumerate(points.items(), 1):
        if task.log is not None:
            task.log(f"setting {number} of {len(points)}: {name}")
        place = folder_name(name)
        try:
            found, notes = _finished(replace(task, out=task.out / place), settings)
        except OptimizeError as error:
            refused.append(error)
            told.setdefault(f"left out: {error}", []).append(name)
            continue
        for note in notes:
            told.setdefault(note, []).append(name)
        found = [replace(stage, file=f"{place}/{stage.file}") for stage in found]
        # the same network opens every run; where nothing is asked for it is all there is
        stages += found[:1] if not stages else []
        stages += [replace(found[-1], stage=name)] if len(found) > 1 else []
    if not stages:
        raise refused[0]
    report = Report(
        model=task.model.name,
        config=task.config_name,
        settings={**base.to_dict(), "sweep": {name: list(v) for name, v in varied.items()}},
        stages=stages,
        notes=[_note(text, names, len(points)) for text, names in told.items()],
    )
    return save_report(report, task.out)


def _note(text: str, names: Sequence[str], count: int) -> str:
    """A line about some of `count` combinations, which it names, or about all."""
    return text if len(names) == count else f"{'; '.join(names)}: {text}"


def folder_name(name: str) -> str:
    """The folder of a combination, by its name."""
    return name.replace("=", "_").replace(":", "_").replace(" ", "-")


def _finished(task: Task, settings: Settings) -> tuple[list[StageResult], list[str]]:
    """Stages and notes of a combination, from its report or by running it."""
    key = run_key(task, settings, read_file(task.model))
    known = _known(task.out / REPORT, key)
    if known is not None:
        return known
    report = optimize(task, settings)
    return list(report.stages), list(report.notes)


def _known(path: Path, key: str) -> tuple[list[StageResult], list[str]] | None:
    """Stages and notes of a finished run with this key; None where there is no such run."""
    names = {field.name for field in fields(StageResult)}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["key"] != key:
            return None
        stages = [
            StageResult(**{name: value for name, value in stage.items() if name in names})
            for stage in record["stages"]
        ]
        return stages, [str(note) for note in record["notes"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None
