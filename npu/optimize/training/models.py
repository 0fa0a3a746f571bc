"""Keras models: reading them, their layers with weights, and batch normalization folded away."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError

Kernel = NDArray[np.float32]


def load_keras(path: Path) -> Any:
    """The model in a `.keras` file; code that comes inside such a file is not run.

    Raises
    ------
    OptimizeError : it cannot be read, needs code, or is no classifier with one input.
    """
    if not path.is_file():
        raise OptimizeError(f"cannot read model '{path}': no such file")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    # a foreign file makes Keras raise what it pleases
    except Exception as error:
        reason = " ".join(str(error).split())
        if "lambda" in reason.lower() or "safe_mode" in reason or "unsafe" in reason.lower():
            raise OptimizeError(
                f"model '{path}' has Python code in it, which Keras' safe mode does not run, and"
                " neither do we: build it from layers instead of Lambda"
            ) from None
        raise OptimizeError(f"cannot read model '{path}': {reason[:200]}") from None
    check_classifier(model)
    return as_functional(model)


def check_classifier(model: Any) -> None:
    """Raises `OptimizeError` unless a model takes one input and gives `[batch, classes]`."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise OptimizeError(
            f"the model has {len(model.inputs)} inputs and {len(model.outputs)} outputs, one of"
            " each expected"
        )
    shape, scores = model.inputs[0].shape, model.outputs[0].shape
    if None in shape[1:]:
        raise OptimizeError(f"the model's input {list(shape)} has no fixed shape")
    if len(scores) != 2:
        raise OptimizeError(f"the model gives {list(scores)}, [batch, classes] expected")


def as_functional(model: Any) -> Any:
    """The same layers as a functional model, whose graph can be walked."""
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def gives_logits(model: Any) -> bool:
    """Whether the scores have not been through a softmax."""
    last = model.outputs[0]._keras_history.operation
    activation = getattr(last, "activation", None)
    return not (isinstance(last, keras.layers.Softmax) or activation is keras.activations.softmax)


def weighted_layers(model: Any) -> list[Any]:
    """The layers that can be pruned and clustered, in order: Conv2D without groups, and Dense."""
    return [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Dense)
        or (
            isinstance(layer, keras.layers.Conv2D)
            and not isinstance(layer, keras.layers.DepthwiseConv2D)
            and layer.groups == 1
        )
    ]


def skipped_layers(model: Any) -> list[str]:
    """Layers whose weights are left as they are, as `DepthwiseConv2D 'name'`."""
    taken = {id(layer) for layer in weighted_layers(model)}
    plain = (keras.layers.BatchNormalization, keras.layers.Normalization)
    return [
        f"{type(layer).__name__} {layer.name!r}"
        for layer in model.layers
        if layer.weights and id(layer) not in taken and not isinstance(layer, plain)
    ]


def to_rows(kernel: NDArray[Any]) -> NDArray[Any]:
    """A kernel `[..., inputs, outputs]` as `[outputs, taps, inputs]`, which all methods take."""
    inputs, outputs = kernel.shape[-2:]
    return np.ascontiguousarray(kernel.reshape(-1, inputs, outputs).transpose(2, 0, 1))


def from_rows(rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Back to a kernel of `shape`."""
    return np.ascontiguousarray(rows.transpose(1, 2, 0)).reshape(shape)


def producer(tensor: Any) -> Any:
    """The layer that gives a tensor."""
    return tensor._keras_history.operation


def consumers(model: Any) -> dict[str, list[Any]]:
    """By a layer's name, the layers that take its output; twice if they do twice."""
    found: dict[str, list[Any]] = {layer.name: [] for layer in model.layers}
    for layer in model.layers:
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors:
                found.setdefault(producer(tensor).name, []).append(layer)
    return found


def fold_batchnorm(model: Any) -> Any:
    """A model with each BatchNormalization right behind a layer with a kernel folded into it.

    The kernel is multiplied by gamma / sqrt(variance + epsilon), per output channel, and the layer
    has a bias: as the converter would do, and so that what is clustered is what it stores.
    """
    folds = _folds(model)
    behind = {norm.name for norm in folds.values()}

    def clone(layer: Any) -> Any:
        if layer.name in behind:
            return keras.layers.Activation("linear", name=layer.name)
        config = layer.get_config()
        if layer.name in folds:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        # what normalizes takes arguments that what takes its place does not
        return layer(args[0]) if layer.name in behind else layer(*args, **kwargs)

    folded = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in folded.layers:
        if not layer.weights:
            continue
        source = model.get_layer(layer.name)
        if layer.name in folds:
            layer.set_weights(_folded_weights(source, folds[layer.name]))
        else:
            layer.set_weights(source.get_weights())
    return as_functional(folded)


def _folds(model: Any) -> dict[str, Any]:
    """By the name of a layer with a kernel, the normalization to be folded into it."""
    folds = {}
    takers = consumers(model)
    foldable = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    for layer in model.layers:
        behind = takers[layer.name]
        if (
            isinstance(layer, foldable)
            and layer.activation is keras.activations.linear
            and len(behind) == 1
            and isinstance(behind[0], keras.layers.BatchNormalization)
        ):
            folds[layer.name] = behind[0]
    return folds


def _folded_weights(layer: Any, norm: Any) -> list[Kernel]:
    kernel = np.asarray(layer.kernel)
    bias = np.asarray(layer.bias) if layer.use_bias else np.zeros(1, np.float32)
    deviation = np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    gamma = np.asarray(norm.gamma) if norm.scale else np.ones_like(deviation)
    beta = np.asarray(norm.beta) if norm.center else np.zeros_like(deviation)
    factor = gamma / deviation
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel = kernel * factor.reshape(kernel.shape[-2:])
    else:
        kernel = kernel * factor
    return [kernel, beta + (bias - np.asarray(norm.moving_mean)) * factor]
