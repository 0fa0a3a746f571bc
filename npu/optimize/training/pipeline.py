"""A Keras model through all stages that are asked for."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from npu.errors import OptimizeError
from npu.optimize.choices import Method, Quantization
from npu.optimize.data import Dataset
from npu.optimize.granularity import Groups
from npu.optimize.measure import Progress, StageResult, measure
from npu.optimize.report import Outcome
from npu.optimize.settings import Settings
from npu.optimize.training.fit import evaluate, soft_targets
from npu.optimize.training.models import skipped_layers
from npu.optimize.training.sensitivity import scan_model
from npu.optimize.training.stages import (
    Session,
    cluster_weights,
    prunable_layers,
    prune_channels,
    prune_weights,
    small_weights,
    train_rounded,
)
from rtl.config import NpuConfig
from sim.cache import content_key

Stage = Callable[[Any, Session], Any]

SMALL = (Quantization.INT4, Quantization.MIXED)
"""What gives layers weights of four bits."""


def planned_stages(settings: Settings) -> list[tuple[str, Stage]]:
    """The stages that train, by the name that their result has in the report.

    Structure first, then zeros, then values, then bits: each keeps what came before.

    Raises
    ------
    OptimizeError : stages that exclude each other.
    """
    small = settings.quantize in SMALL
    if small and settings.clusters is not None:
        raise OptimizeError(
            f"--quantize {settings.quantize} and --cluster exclude each other: four bits are 15"
            " values already"
        )
    planned: list[tuple[str, Stage]] = []
    if removes_channels(settings):
        planned.append(("channels removed", prune_channels))
    elif settings.prune is not None:
        planned.append(("pruned", prune_weights))
    if settings.clusters is not None:
        planned.append(("clustered", cluster_weights))
    elif small:
        planned.append((str(settings.quantize), small_weights))
    elif settings.qat:
        planned.append(("quantization-aware", train_rounded))
    return planned


def removes_channels(settings: Settings) -> bool:
    """Whether pruning makes the network smaller, instead of weights zero."""
    return settings.prune is not None and settings.prune.method is Method.LASSO


def optimize_keras(
    model: Any,
    data: Dataset,
    settings: Settings,
    config: NpuConfig,
    *,
    out: Path,
    identity: bytes = b"",
    checkpoints: Path | None = None,
    sensitivity: bool = False,
    log: Callable[[str], None] | None = None,
    progress: Callable[[str], Progress] | None = None,
) -> Outcome:
    """Run all stages, write a `.tflite` for each to `out`, and measure them on the test data.

    Parameters
    ----------
    model : a functional classifier; it is changed.
    identity : what tells this model from others: a checkpoint of another one is not taken up.
    checkpoints : an existing folder that several runs share; None is one in `out`.
    sensitivity : whether each layer is pruned alone first.

    Of the results, the first is that of the model as it came.

    Raises
    ------
    OptimizeError : data that do not fit the model, or nothing that can be pruned.
    """
    shape = tuple(model.inputs[0].shape[1:])
    data.check(shape, int(model.outputs[0].shape[-1]))
    planned = planned_stages(settings)
    # a mistake is told before anything is trained
    zeros = settings.prune is not None and not removes_channels(settings)
    if zeros or settings.quantize in SMALL:
        prunable_layers(model, settings)
    checkpoints = checkpoints or out / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    session = Session(
        settings=settings,
        data=data,
        config=config,
        checkpoints=checkpoints,
        key=content_key(identity, data.train.x.tobytes(), data.train.y.tobytes()),
        log=log,
    )
    if settings.distill:
        session.targets = soft_targets(model, data.train, settings.distill)
    left = skipped_layers(model)
    if left:
        session.notes.append(f"neither pruned nor clustered: {', '.join(left)}")
    rows = []
    if sensitivity:
        groups = Groups.of(settings.granularity, config)
        rows = scan_model(model, groups, data.validation, log)
    before = evaluate(model, data.validation)
    results: list[StageResult] = []
    content = _result(model, "dense", session, results, out, time.monotonic(), progress)
    names: list[str] = []
    for name, stage in planned:
        begin = time.monotonic()
        model = stage(model, session)
        names.append(name)
        content = _result(model, " + ".join(names), session, results, out, begin, progress)
    _judge(before, evaluate(model, data.validation), session)
    return Outcome(results, session.notes, content, rows)


def _result(
    model: Any,
    name: str,
    session: Session,
    results: list[StageResult],
    out: Path,
    begin: float,
    progress: Callable[[str], Progress] | None,
) -> bytes:
    """Write and measure what a stage has left."""
    content = session.to_file(model)
    file = f"{len(results)}_{name.replace(' + ', '_')}.tflite"
    (out / file).write_bytes(content)
    model.save(out / f"{file.removesuffix('.tflite')}.keras")
    seconds = time.monotonic() - begin
    results.append(
        measure(
            content,
            session.config,
            stage=name,
            file=file,
            held_out=session.data.test,
            float_accuracy=evaluate(model, session.data.test),
            progress=None if progress is None else progress(name),
            seconds=seconds,
        )
    )
    if session.log is not None:
        session.log(f"{name}: {results[-1].int8_accuracy:.2%} in integers on held-out data")
    return content


def _judge(before: float, after: float, session: Session) -> None:
    """Note whether the loss that is allowed was exceeded."""
    allowed = session.settings.max_loss
    lost = 100 * (before - after)
    if allowed is not None and lost > allowed:
        session.notes.append(
            f"target missed: {lost:.2f} points of validation accuracy lost, {allowed:g} allowed;"
            " the best that was found is kept (a smaller ratio or more --epochs may reach it)"
        )
