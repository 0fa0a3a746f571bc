"""Conversion of the networks to `.tflite`, kept in the cache by content.

TensorFlow is needed only for what the cache does not hold.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import redirect_stdout
from functools import cache
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from sim.cache import cached, content_key

MODES = ("int8", "uint8", "float", "int16x8")
"""Types at the ends; all have int8 weights, and int8 activations but the last."""

BATCHES: dict[str, int | None] = {"none": None, "one": 1}
"""The batch that Keras is told."""

SEED = 20261130
CALIBRATION_STEPS = 4


def converted(name: str, batch: str, mode: str) -> bytes | str:
    """The file of network `name`, or the first line of what the converter refused it with.

    `batch` is one of `BATCHES`, `mode` one of `MODES`.
    """
    from tests.converter import networks

    shared = Path(networks.__file__).with_name("layers.py").read_text()
    recipe = (networks.NETWORKS[name], _convert, _settle, _calibration, _sample)
    sources = [inspect.getsource(function) for function in recipe]
    seed = f"{SEED}, {CALIBRATION_STEPS}"
    key = content_key(name, batch, mode, shared, sources, seed, version("tensorflow"))

    def build(folder: Path) -> None:
        result = _in_worker(name, batch, mode)
        if isinstance(result, bytes):
            (folder / "model.tflite").write_bytes(result)
        else:
            (folder / "refused.txt").write_text(result)

    folder = cached("converter", key, build)
    refused = folder / "refused.txt"
    return refused.read_text() if refused.exists() else (folder / "model.tflite").read_bytes()


def _in_worker(name: str, batch: str, mode: str) -> bytes | str:
    """The conversion in a process of its own, which the converter may take down."""
    try:
        return _workers().submit(_attempt, name, batch, mode).result()
    except BrokenProcessPool:
        _workers.cache_clear()
        return "the converter crashed"


@cache
def _workers() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def _attempt(name: str, batch: str, mode: str) -> bytes | str:
    try:
        with redirect_stdout(StringIO()):  # the converter lists every variable there
            return _convert(name, BATCHES[batch], mode)
    except Exception as error:  # the converter raises whatever MLIR says
        return _first_line(error)


def _convert(name: str, batch: int | None, mode: str) -> bytes:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    from tests.converter.networks import NETWORKS

    keras.backend.clear_session()
    keras.utils.set_random_seed(SEED)
    model = NETWORKS[name](batch)
    _settle(model)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _calibration(model)
    operators = tf.lite.OpsSet
    wide = operators.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [
        wide if mode == "int16x8" else operators.TFLITE_BUILTINS_INT8
    ]
    ends = {"int8": tf.int8, "uint8": tf.uint8, "float": tf.float32, "int16x8": tf.int16}[mode]
    if all(entry.dtype == "float32" for entry in model.inputs):
        converter.inference_input_type = ends
    converter.inference_output_type = ends
    result: bytes = converter.convert()
    return result


def _settle(model: Any) -> None:
    """Give normalizations the statistics of random inputs, as training would.

    With those that they begin with, activations of deep networks fade, until TFLM refuses scales.
    """
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    model(next(_calibration(model)), training=True)


def _calibration(model: Any) -> Iterator[list[Any]]:
    random = np.random.default_rng(SEED)
    for _ in range(CALIBRATION_STEPS):
        yield [_sample(random, entry) for entry in model.inputs]


def _sample(random: np.random.Generator, entry: Any) -> Any:
    shape = tuple(1 if size is None else size for size in entry.shape)
    if entry.dtype == "int32":
        return random.integers(0, 50, shape).astype(np.int32)
    return random.uniform(-1, 1, shape).astype(np.float32)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]
