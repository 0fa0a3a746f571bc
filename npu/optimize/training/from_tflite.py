"""A Keras model of an integer network, so that it can be trained further.

Weights are those that the file's codes stand for, in floating point; activations are no longer
rounded. Batch normalization was folded into them: `with_batchnorm` puts it back, without which deep
networks are hard to train.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from npu.errors import OptimizeError
from npu.model.graph import Graph, Operator, Tensor
from npu.model.options import (
    Activation,
    Conv2DOptions,
    DepthwiseConv2DOptions,
    ElementwiseOptions,
    FullyConnectedOptions,
    PoolOptions,
)
from npu.optimize.training.models import as_functional

ACTIVATIONS: dict[Activation, Any] = {
    Activation.NONE: None,
    Activation.RELU: "relu",
    Activation.RELU6: "relu6",
    Activation.TANH: "tanh",
}


MOMENTUM = 0.9
"""Of batch normalization: Keras' 0.99 follows too slowly where training is short."""


def keras_model(graph: Graph) -> Any:
    """The functional model of a chain, or of branches that are added, with one input and output.

    Raises
    ------
    OptimizeError : an operator that has no counterpart here.
    """
    given = keras.Input(graph.tensors[graph.inputs[0]].shape[1:])
    values = {graph.inputs[0]: given}
    for op in graph.operators:
        if op.kind not in _LAYERS:
            known = ", ".join(_LAYERS)
            raise OptimizeError(f"operator {op.index}, {op.kind}, cannot be trained: only {known}")
        taken = [values[i] for i in op.present_inputs if i in values]
        values[op.outputs[0]] = _LAYERS[op.kind](graph, op, taken)
    return as_functional(keras.Model(given, values[graph.outputs[0]]))


def with_batchnorm(model: Any, samples: Any) -> Any:
    """The same function with batch normalization behind every convolution.

    Mean and variance are those that the convolutions give for `samples`, float32 `[n, ...]`; the
    biases become part of beta.
    """
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    layers = [layer for layer in model.layers if isinstance(layer, kinds)]
    activations = {layer.name: layer.activation for layer in layers}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in activations:
            config |= {"use_bias": False, "activation": None}
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        out = layer(*args, **kwargs)
        if layer.name in activations:
            norm = keras.layers.BatchNormalization(momentum=MOMENTUM, name=f"{layer.name}_norm")
            out = keras.layers.Activation(activations[layer.name], name=f"{layer.name}_activation")(
                norm(out)
            )
        return out

    normed = as_functional(
        keras.models.clone_model(model, clone_function=clone, call_function=call)
    )
    for layer in model.layers:
        if layer.weights:
            kept = layer.get_weights()
            normed.get_layer(layer.name).set_weights(
                kept[:1] if layer.name in activations else kept
            )
    outputs = [normed.get_layer(layer.name).output for layer in layers]
    for layer in layers:
        norm = normed.get_layer(f"{layer.name}_norm")
        bias = np.asarray(layer.bias)
        # until its statistics are known it passes on what it takes
        norm.set_weights([np.ones_like(bias), bias, np.zeros_like(bias), np.ones_like(bias)])
        norm.epsilon, kept = 0.0, norm.epsilon
    seen = keras.Model(normed.inputs[0], outputs)(samples, training=False)
    for layer, values in zip(layers, seen, strict=True):
        norm = normed.get_layer(f"{layer.name}_norm")
        norm.epsilon = kept
        found = np.asarray(values, np.float64).reshape(-1, values.shape[-1])
        mean, variance = found.mean(axis=0), found.var(axis=0)
        gamma = np.sqrt(variance + norm.epsilon)
        norm.set_weights([gamma, np.asarray(layer.bias) + mean, mean, variance])
    return normed


def _real(tensor: Tensor, axis: int) -> Any:
    """A constant's real values, scaled along `axis`."""
    assert tensor.data is not None
    assert tensor.quantization is not None
    shape = [1] * tensor.data.ndim
    shape[axis] = -1
    return (tensor.data * tensor.quantization.scales.reshape(shape)).astype(np.float32)


def _weights(graph: Graph, op: Operator, axis: int) -> tuple[Any, Any]:
    """Weights as in the file, and the bias, zeros without one."""
    weights, bias = graph.input_tensor(op, 1), graph.input_tensor(op, 2)
    if weights is None or weights.data is None or weights.quantization is None:
        raise OptimizeError(f"operator {op.index}, {op.kind}, has no constant integer weights")
    outputs = weights.shape[axis]
    if bias is None or bias.data is None:
        return _real(weights, axis), np.zeros(outputs, np.float32)
    return _real(weights, axis), _real(bias, 0)


def _conv(graph: Graph, op: Operator, taken: list[Any]) -> Any:
    options = op.options_as(Conv2DOptions)
    kernel, bias = _weights(graph, op, 0)
    layer = keras.layers.Conv2D(
        kernel.shape[0],
        kernel.shape[1:3],
        strides=(options.stride_h, options.stride_w),
        dilation_rate=(options.dilation_h, options.dilation_w),
        padding=options.padding.name.lower(),
        activation=ACTIVATIONS[options.activation],
        name=f"conv{op.index}",
    )
    out = layer(taken[0])
    layer.set_weights([kernel.transpose(1, 2, 3, 0), bias])
    return out


def _depthwise(graph: Graph, op: Operator, taken: list[Any]) -> Any:
    options = op.options_as(DepthwiseConv2DOptions)
    kernel, bias = _weights(graph, op, 3)
    layer = keras.layers.DepthwiseConv2D(
        kernel.shape[1:3],
        depth_multiplier=options.depth_multiplier,
        strides=(options.stride_h, options.stride_w),
        dilation_rate=(options.dilation_h, options.dilation_w),
        padding=options.padding.name.lower(),
        activation=ACTIVATIONS[options.activation],
        name=f"depthwise{op.index}",
    )
    out = layer(taken[0])
    layer.set_weights([kernel.reshape(layer.kernel.shape), bias])
    return out


def _dense(graph: Graph, op: Operator, taken: list[Any]) -> Any:
    options = op.options_as(FullyConnectedOptions)
    kernel, bias = _weights(graph, op, 0)
    x = taken[0]
    if not options.keep_num_dims and len(x.shape) > 2:
        x = keras.layers.Flatten(name=f"flatten{op.index}")(x)
    activation = ACTIVATIONS[options.activation]
    layer = keras.layers.Dense(len(kernel), activation=activation, name=f"dense{op.index}")
    out = layer(x)
    layer.set_weights([kernel.T, bias])
    return out


def _add(graph: Graph, op: Operator, taken: list[Any]) -> Any:
    if len(taken) != 2:
        raise OptimizeError(f"operator {op.index}, {op.kind}, adds a constant: not trained")
    out = keras.layers.Add(name=f"add{op.index}")(taken)
    activation = ACTIVATIONS[op.options_as(ElementwiseOptions).activation]
    if activation is None:
        return out
    return keras.layers.Activation(activation, name=f"activation{op.index}")(out)


def _pool(graph: Graph, op: Operator, taken: list[Any]) -> Any:
    options = op.options_as(PoolOptions)
    average = op.kind == "AVERAGE_POOL_2D"
    kind = keras.layers.AveragePooling2D if average else keras.layers.MaxPooling2D
    layer = kind(
        (options.filter_h, options.filter_w),
        strides=(options.stride_h, options.stride_w),
        padding=options.padding.name.lower(),
        name=f"pool{op.index}",
    )
    return layer(taken[0])


def _reshape(graph: Graph, op: Operator, taken: list[Any]) -> Any:
    shape = graph.tensors[op.outputs[0]].shape[1:]
    if len(shape) == 1:
        return keras.layers.Flatten(name=f"reshape{op.index}")(taken[0])
    return keras.layers.Reshape(shape, name=f"reshape{op.index}")(taken[0])


def _softmax(graph: Graph, op: Operator, taken: list[Any]) -> Any:
    return keras.layers.Softmax(name=f"softmax{op.index}")(taken[0])


_LAYERS: dict[str, Callable[[Graph, Operator, list[Any]], Any]] = {
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
}
"""What makes the layer of an operator from the graph, the operator and the tensors it takes."""
