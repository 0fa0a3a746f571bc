"""From a Keras model to an integer `.tflite`, with the codes that training has chosen."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from npu.errors import OptimizeError
from npu.model.graph import Graph
from npu.model.schema import schema
from npu.model.tflite_reader import read_model_bytes
from npu.optimize.choices import Quantization
from npu.optimize.rewrite import NewTensor, pack_int4, replace_constants
from npu.optimize.training.clustering import Codes
from npu.optimize.training.environment import quiet
from npu.optimize.training.models import to_rows, weighted_layers
from npu.optimize.weights import LayerWeights, find_weights

CALIBRATION_SAMPLES = 300
MATCH_TOLERANCE = 0.75
"""Steps of the quantization by which converted weights may differ from a layer's."""

Samples = NDArray[np.float32]


def convert(
    model: Any, calibration: Samples | None, quantization: Quantization = Quantization.INT8
) -> bytes:
    """A `.tflite` with batch 1, its inputs and outputs integers.

    Parameters
    ----------
    calibration : float32 `[n, ...]`, whose activations set the ranges; None for a model with fake
        quantization in it.
    quantization : `int16x8` gives activations of 16 bits, everything else of 8.

    Raises
    ------
    OptimizeError : the converter refuses the model.
    """
    shape = model.inputs[0].shape[1:]
    # names that Keras numbers would differ from run to run, and are in the file
    given = keras.Input(batch_shape=(1, *shape), name="samples")
    fixed = keras.Model(given, model(given), name="optimized")
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if calibration is not None:
        converter.representative_dataset = lambda: _samples(calibration, tuple(shape))
    if quantization is Quantization.INT16X8:
        wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [wide]
        kind = tf.int16
    else:
        if calibration is not None:
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        kind = tf.int8
    converter.inference_input_type = converter.inference_output_type = kind
    try:
        with quiet():
            return bytes(converter.convert())
    # the converter raises what it pleases
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise OptimizeError(f"TensorFlow's converter refuses the model: {reason}") from None


def match_layers(graph: Graph, model: Any) -> dict[str, LayerWeights]:
    """By a layer's name, its weights in the converted network; without those that it changed."""
    left = find_weights(graph)
    found = {}
    for layer in weighted_layers(model):
        rows = to_rows(np.asarray(layer.kernel))
        errors = [
            (_steps_apart(rows, candidate), place)
            for place, candidate in enumerate(left)
            if candidate.codes.shape == rows.shape
        ]
        error, place = min(errors, default=(np.inf, -1))
        if error <= MATCH_TOLERANCE:
            found[layer.name] = left.pop(place)
    return found


def put_codes(
    content: bytes, model: Any, codes: Mapping[str, Codes], packed: Collection[str] = ()
) -> bytes:
    """The converted network with these codes and scales in place of the converter's, by layer.

    Biases are rescaled with the weights. Layers among `packed` have codes from -7 to 7, and are
    stored as int4.

    Raises
    ------
    OptimizeError : the converter changed a layer beyond recognition.
    """
    graph = read_model_bytes(content, "converted")
    matched = match_layers(graph, model)
    changes = []
    for name, new in codes.items():
        if name not in matched:
            raise OptimizeError(f"the converter changed layer {name!r}: its codes have no place")
        old = matched[name]
        scales = new.scales
        if old.kind == "FULLY_CONNECTED" and np.all(scales == scales[0]):
            # TFLM takes four bits of a FULLY_CONNECTED with one scale only
            scales = scales[:1]
        small = name in packed
        data = pack_int4(new.codes) if small else new.codes.tobytes()
        kind = schema.TensorType.INT4 if small else schema.TensorType.INT8
        changes.append(NewTensor(old.tensor, data, scales, kind))
        changes += _bias(graph, old, scales)
    return replace_constants(content, changes)


def _bias(graph: Graph, layer: LayerWeights, scales: NDArray[np.float32]) -> list[NewTensor]:
    op = graph.operator(layer.operator)
    tensor = graph.input_tensor(op, 2)
    source = graph.input_tensor(op, 0)
    if tensor is None or tensor.data is None or tensor.quantization is None:
        return []
    assert source is not None
    assert source.quantization is not None
    real = tensor.data.astype(np.float64) * tensor.quantization.scales
    steps = (np.float32(source.quantization.scale) * scales).astype(np.float32)
    limits = np.iinfo(tensor.data.dtype)
    values = np.clip(np.rint(real / steps), limits.min, limits.max).astype(tensor.data.dtype)
    return [NewTensor(tensor.index, values.tobytes(), steps)]


def _steps_apart(rows: NDArray[Any], layer: LayerWeights) -> float:
    scales = np.maximum(layer.scales, np.finfo(np.float32).tiny)[:, None, None]
    return float(np.max(np.abs(rows - layer.real) / scales))


def _samples(calibration: Samples, shape: tuple[int, ...]) -> Iterator[list[Samples]]:
    for sample in calibration[:CALIBRATION_SAMPLES]:
        yield [sample.reshape(1, *shape)]
