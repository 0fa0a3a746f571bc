"""The stages for a ready int8 network: nothing is trained, so no accuracy is recovered."""

import time
from collections.abc import Callable
from pathlib import Path

from npu.errors import OptimizeError
from npu.model.tflite_reader import read_model_bytes
from npu.optimize.choices import Method, Quantization
from npu.optimize.data import Split
from npu.optimize.granularity import Groups
from npu.optimize.measure import Progress, StageResult, measure
from npu.optimize.post_training import cluster_codes, kept_dense, prune_codes
from npu.optimize.rewrite import replace_codes
from npu.optimize.settings import Settings
from npu.optimize.weights import LayerWeights, find_weights, skipped
from rtl.config import NpuConfig

NOT_RECOVERED = "nothing was trained: accuracy that pruning or clustering cost is not recovered"

Stages = list[tuple[str, bytes]]


def check_ready(settings: Settings) -> None:
    """Raises `OptimizeError` for what only training, or a network in floating point, can do."""
    if settings.prune is not None and settings.prune.method is not Method.MAGNITUDE:
        raise OptimizeError(
            f"--prune {settings.prune.method} trains: a .tflite is pruned by magnitude,"
            " a Keras model by all methods"
        )
    if settings.qat or settings.quantize not in (None, Quantization.INT8):
        raise OptimizeError("a ready .tflite is quantized already: --quantize needs a Keras model")
    if settings.prune is None and settings.clusters is None:
        raise OptimizeError("nothing to do: --prune, --cluster or a Keras model to quantize")


def optimize_ready(
    content: bytes, settings: Settings, config: NpuConfig
) -> tuple[Stages, list[str]]:
    """The files of all stages by name, the first as it came, and notes for the user.

    Raises
    ------
    OptimizeError : the network has no weights that can be pruned or clustered, or `settings` asks
        for training.
    """
    check_ready(settings)
    graph = read_model_bytes(content, "model")
    layers = find_weights(graph)
    if not layers:
        raise OptimizeError("the network has no CONV_2D or FULLY_CONNECTED with int8 weights")
    notes = [NOT_RECOVERED]
    left = skipped(graph)
    if left:
        notes.append(f"weights left as they are: {', '.join(left)}")
    stages = [("dense", content)]
    if settings.prune is not None:
        dense = kept_dense(layers, settings.dense)
        notes += _dense_note(layers, dense)
        groups = Groups.of(settings.granularity, config)
        ratio = settings.prune.ratio
        layers = [
            layer if layer.operator in dense else prune_codes(layer, groups, ratio)
            for layer in layers
        ]
        stages.append(("pruned", replace_codes(content, layers)))
    if settings.clusters is not None:
        layers = [
            cluster_codes(layer, settings.clusters, start=settings.start, seed=settings.seed)
            for layer in layers
        ]
        name = "clustered" if settings.prune is None else "pruned + clustered"
        stages.append((name, replace_codes(content, layers)))
    return stages, notes


def measure_stages(
    stages: Stages,
    config: NpuConfig,
    out: Path,
    held_out: Split | None = None,
    progress: Callable[[str], Progress] | None = None,
) -> list[StageResult]:
    """Write each stage's file to the folder `out`, and measure it."""
    results = []
    for number, (name, content) in enumerate(stages):
        begin = time.monotonic()
        file = f"{number}_{name.replace(' + ', '_')}.tflite"
        (out / file).write_bytes(content)
        result = measure(
            content,
            config,
            stage=name,
            file=file,
            held_out=held_out,
            progress=None if progress is None else progress(name),
            seconds=time.monotonic() - begin,
        )
        results.append(result)
    return results


def _dense_note(layers: list[LayerWeights], dense: frozenset[int]) -> list[str]:
    names = [f"{layer.kind} {layer.operator}" for layer in layers if layer.operator in dense]
    return [f"not pruned: {', '.join(names)} (--dense says which)"] if names else []
