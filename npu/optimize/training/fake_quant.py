"""Quantization-aware training: a twin of a model that rounds its weights and activations.

Rounding has the gradient of the identity, within the range. The twin only trains: its weights go
back to the model, which is then converted like any other.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from npu.optimize.training.models import as_functional, consumers, producer
from npu.optimize.weights import INT8_LIMIT

INT4_LIMIT = 7
MOMENTUM = 0.95
"""With which the range of an activation follows that of the batches."""

CALIBRATION_BATCHES = 8

_MOVING = (
    *(keras.layers.Flatten, keras.layers.Reshape, keras.layers.MaxPooling2D),
    *(keras.layers.Dropout, keras.layers.ZeroPadding2D, keras.layers.InputLayer),
)
"""Layers that keep the quantization of what they take."""

_FUSED = (keras.layers.ReLU, keras.layers.Activation)
"""Layers that become a part of the operator in front."""


class ActivationQuantizer(keras.layers.Layer):  # type: ignore[misc]
    """Rounds to 255 steps of a range, which follows the batches while training."""

    def build(self, input_shape: Any) -> None:
        """The range, at first empty."""
        zeros = keras.initializers.Zeros()
        self.low = self.add_weight(name="low", shape=(), initializer=zeros, trainable=False)
        self.high = self.add_weight(name="high", shape=(), initializer=zeros, trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        """`x`, rounded."""
        if training:
            ops = keras.ops
            low = ops.minimum(ops.min(x), 0.0)
            high = ops.maximum(ops.max(x), 1e-6)
            first = ops.cast(self.high == 0.0, "float32")
            keep = MOMENTUM * (1 - first)
            self.low.assign(keep * self.low + (1 - keep) * low)
            self.high.assign(keep * self.high + (1 - keep) * high)
        return tf.quantization.fake_quant_with_min_max_vars(x, self.low.value, self.high.value)


class _RoundedKernel:
    """Mixed into a layer: its kernel is rounded before it is used.

    `limit` is the greatest code; `scales` are those of the output channels, or None for `max |w| /
    limit`, of the channel or, with `whole`, of the tensor.
    """

    limit = INT8_LIMIT
    whole = False
    scales: NDArray[np.float32] | None = None

    def rounded(self, kernel: Any, axes: tuple[int, ...]) -> Any:
        """The kernel on its grid."""
        ops = keras.ops
        if self.scales is not None:
            scales = ops.convert_to_tensor(self.scales)
        else:
            every = None if self.whole else axes
            largest = ops.max(ops.abs(kernel), axis=every, keepdims=every is not None)
            scales = ops.stop_gradient(ops.maximum(largest, 1e-8) / self.limit)
        codes = ops.clip(ops.round(kernel / scales), -self.limit, self.limit)
        return kernel + ops.stop_gradient(codes * scales - kernel)


class RoundedConv2D(_RoundedKernel, keras.layers.Conv2D):  # type: ignore[misc]
    """A Conv2D with a rounded kernel."""

    def call(self, inputs: Any) -> Any:
        """The convolution."""
        y = self.convolution_op(inputs, self.rounded(self.kernel.value, (0, 1, 2)))
        return self.activation(y + self.bias if self.use_bias else y)


class RoundedDense(_RoundedKernel, keras.layers.Dense):  # type: ignore[misc]
    """A Dense with a rounded kernel."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """The product."""
        y = keras.ops.matmul(inputs, self.rounded(self.kernel.value, (0,)))
        return self.activation(y + self.bias if self.use_bias else y)


class RoundedDepthwiseConv2D(_RoundedKernel, keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """A DepthwiseConv2D with a rounded kernel."""

    def call(self, inputs: Any) -> Any:
        """The convolution."""
        y = keras.ops.depthwise_conv(
            inputs,
            self.rounded(self.kernel.value, (0, 1)),
            strides=self.strides,
            padding=self.padding,
            data_format=self.data_format,
            dilation_rate=self.dilation_rate,
        )
        return self.activation(y + self.bias if self.use_bias else y)


_TWINS: dict[Any, Any] = {
    keras.layers.Conv2D: RoundedConv2D,
    keras.layers.Dense: RoundedDense,
    keras.layers.DepthwiseConv2D: RoundedDepthwiseConv2D,
}


def rounded_twin(
    model: Any,
    calibration: NDArray[np.float32],
    *,
    limits: Mapping[str, int] | None = None,
    scales: Mapping[str, NDArray[np.float32]] | None = None,
) -> Any:
    """A model of the same weights and names that rounds as the integer network will.

    Parameters
    ----------
    model : without batch normalization behind kernels; see `fold_batchnorm`.
    calibration : samples that the ranges of activations start from.
    limits : the greatest code of the layers that do not have int8 weights.
    scales : of the layers whose codes are chosen already.
    """
    takers = consumers(model)
    first = producer(model.inputs[0]).name

    def clone(layer: Any) -> Any:
        return _TWINS.get(type(layer), type(layer)).from_config(layer.get_config())

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if args and any(taker.name == layer.name for taker in takers[first]):
            args = (ActivationQuantizer(name=f"{layer.name}_input_range")(args[0]), *args[1:])
        y = layer(*args, **kwargs)
        behind = takers[layer.name]
        fused = len(behind) == 1 and isinstance(behind[0], _FUSED)
        if fused or not behind or isinstance(layer, _MOVING):
            return y
        return ActivationQuantizer(name=f"{layer.name}_range")(y)

    twin = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in twin.layers:
        if type(layer) in _TWINS.values():
            layer.limit = (limits or {}).get(layer.name, INT8_LIMIT)
            layer.whole = len(layer.kernel.shape) == 2 and layer.limit == INT4_LIMIT
            layer.scales = (scales or {}).get(layer.name)
    copy_weights(model, twin)
    twin = as_functional(twin)
    x = calibration.reshape(-1, *twin.inputs[0].shape[1:])
    for part in np.array_split(x, min(CALIBRATION_BATCHES, len(x))):
        twin(part, training=True)
    return twin


def copy_weights(source: Any, target: Any) -> None:
    """Take over the weights of layers of the same name, but for ranges of activations."""
    names = {layer.name for layer in target.layers}
    for layer in source.layers:
        if layer.weights and layer.name in names:
            target.get_layer(layer.name).set_weights(layer.get_weights())
