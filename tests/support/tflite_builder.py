"""Builds small int8 `.tflite` models in memory, operator by operator, with chosen quantization.

>>> m = ModelBuilder()
>>> x = m.input((1, 8, 8, 3), scale=0.05, zero_point=-3)
>>> y = m.conv2d(x, weights, bias, weight_scales=ws, scale=0.1, zero_point=4, activation="RELU")
>>> z = m.add(y, y, scale=0.2, zero_point=0)
>>> data = m.build()

Every operator method takes and returns `Tensor` handles, so residual graphs need nothing special.
Arrays are laid out as in TFLite: activations NHWC, convolution weights OHWI, depthwise weights
1HWO, fully connected weights (outputs, inputs).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import ArrayLike, NDArray

from tests.support.tflite_file import ModelFile, Tensor

Pair = tuple[int, int]
QUANTIZED = {np.dtype(t) for t in (np.int8, np.uint8, np.int16)}


class ModelBuilder(ModelFile):
    """The operators, as methods; see `ModelFile` for tensors, `operator` and `build`."""

    # convolutions

    def conv2d(
        self,
        x: Tensor,
        weights: NDArray[np.int8],
        bias: NDArray[np.int32] | None,
        *,
        weight_scales: ArrayLike,
        scale: float,
        zero_point: int,
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        padding: str = "SAME",
        activation: str = "NONE",
    ) -> Tensor:
        """CONV_2D; grouped when `weights` (O, kh, kw, I) has fewer input channels than `x`."""
        kernel = weights.shape[1], weights.shape[2]
        y = self._windowed(
            x, weights.shape[0], kernel, stride, dilation, padding, scale, zero_point
        )
        options = _window_options(stride, padding, activation)
        options |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
        operands = self._weights_and_bias(x, weights, bias, weight_scales, 0)
        self.operator(
            "CONV_2D", [x, *operands], [y], options, options_type="Conv2DOptions", version=3
        )
        return y

    def depthwise_conv2d(
        self,
        x: Tensor,
        weights: NDArray[np.int8],
        bias: NDArray[np.int32] | None,
        *,
        weight_scales: ArrayLike,
        scale: float,
        zero_point: int,
        stride: Pair = (1, 1),
        dilation: Pair = (1, 1),
        padding: str = "SAME",
        activation: str = "NONE",
    ) -> Tensor:
        """DEPTHWISE_CONV_2D; the depth multiplier is what `weights` (1, kh, kw, O) implies."""
        kernel = weights.shape[1], weights.shape[2]
        y = self._windowed(
            x, weights.shape[3], kernel, stride, dilation, padding, scale, zero_point
        )
        options = _window_options(stride, padding, activation)
        options |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
        options["depthMultiplier"] = weights.shape[3] // x.shape[3]
        operands = self._weights_and_bias(x, weights, bias, weight_scales, 3)
        self.operator(
            "DEPTHWISE_CONV_2D",
            [x, *operands],
            [y],
            options,
            options_type="DepthwiseConv2DOptions",
            version=3,
        )
        return y

    def fully_connected(
        self,
        x: Tensor,
        weights: NDArray[np.int8],
        bias: NDArray[np.int32] | None,
        *,
        weight_scales: ArrayLike,
        scale: float,
        zero_point: int,
        activation: str = "NONE",
        keep_num_dims: bool = False,
    ) -> Tensor:
        """FULLY_CONNECTED; without `keep_num_dims`, `x` is flattened to (rows, inputs)."""
        outputs, inputs = weights.shape
        rows = int(np.prod(x.shape)) // inputs
        shape = (*x.shape[:-1], outputs) if keep_num_dims else (rows, outputs)
        y = self.tensor(shape, x.dtype, scale=scale, zero_point=zero_point)
        options = {"fusedActivationFunction": _activation(activation), "keepNumDims": keep_num_dims}
        operands = self._weights_and_bias(x, weights, bias, weight_scales, 0)
        self.operator(
            "FULLY_CONNECTED",
            [x, *operands],
            [y],
            options,
            options_type="FullyConnectedOptions",
            version=4,
        )
        return y

    # elementwise and pooling

    def add(
        self, a: Tensor, b: Tensor, *, scale: float, zero_point: int, activation: str = "NONE"
    ) -> Tensor:
        """ADD, with broadcasting."""
        shape = np.broadcast_shapes(a.shape, b.shape)
        y = self.tensor(shape, a.dtype, scale=scale, zero_point=zero_point)
        options = {"fusedActivationFunction": _activation(activation), "potScaleInt16": False}
        self.operator("ADD", [a, b], [y], options, options_type="AddOptions", version=2)
        return y

    def average_pool2d(
        self,
        x: Tensor,
        *,
        window: Pair,
        stride: Pair | None = None,
        padding: str = "VALID",
        activation: str = "NONE",
    ) -> Tensor:
        """AVERAGE_POOL_2D; the stride defaults to the window."""
        return self._pool("AVERAGE_POOL_2D", x, window, stride or window, padding, activation)

    def max_pool2d(
        self,
        x: Tensor,
        *,
        window: Pair,
        stride: Pair | None = None,
        padding: str = "VALID",
        activation: str = "NONE",
    ) -> Tensor:
        """MAX_POOL_2D; the stride defaults to the window."""
        return self._pool("MAX_POOL_2D", x, window, stride or window, padding, activation)

    def mean(
        self,
        x: Tensor,
        axes: Sequence[int],
        *,
        scale: float,
        zero_point: int,
        keep_dims: bool = True,
    ) -> Tensor:
        """MEAN over `axes` (negative ones count from the last)."""
        reduced = {a % len(x.shape) for a in axes}
        shape = [1 if i in reduced else n for i, n in enumerate(x.shape)]
        if not keep_dims:
            shape = [n for i, n in enumerate(x.shape) if i not in reduced]
        y = self.tensor(shape, x.dtype, scale=scale, zero_point=zero_point)
        indices = self.constant(np.array(axes, np.int32))
        options = {"keepDims": keep_dims}
        self.operator("MEAN", [x, indices], [y], options, options_type="ReducerOptions", version=2)
        return y

    def relu(self, x: Tensor, *, scale: float, zero_point: int, code: str = "RELU") -> Tensor:
        """A RELU or RELU6 that is not fused."""
        y = self.tensor(x.shape, x.dtype, scale=scale, zero_point=zero_point)
        self.operator(code, [x], [y], version=2)
        return y

    # the rest

    def pad(self, x: Tensor, paddings: Sequence[Pair]) -> Tensor:
        """PAD with (before, after) for every dimension, by the zero point."""
        shape = [n + before + after for n, (before, after) in zip(x.shape, paddings, strict=True)]
        y = self._like(x, shape)
        amounts = self.constant(np.array(paddings, np.int32))
        self.operator("PAD", [x, amounts], [y], options_type="PadOptions", version=2)
        return y

    def softmax(self, x: Tensor, *, beta: float = 1.0) -> Tensor:
        """SOFTMAX over the last dimension, into scale 1/256, zero point -128."""
        y = self.tensor(x.shape, x.dtype, scale=1 / 256, zero_point=-128)
        options = {"beta": beta}
        self.operator("SOFTMAX", [x], [y], options, options_type="SoftmaxOptions", version=2)
        return y

    def reshape(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """RESHAPE; `shape` may hold one -1."""
        full = np.empty(x.shape, np.bool_).reshape(tuple(shape)).shape
        y = self._like(x, full)
        target = self.constant(np.array(shape, np.int32))
        options = {"newShape": list(shape)}
        self.operator("RESHAPE", [x, target], [y], options, options_type="ReshapeOptions")
        return y

    def quantize(self, x: Tensor, *, scale: float, zero_point: int) -> Tensor:
        """QUANTIZE: float32 to int8, or int8 to int8 with another quantization."""
        y = self.tensor(x.shape, np.int8, scale=scale, zero_point=zero_point)
        self.operator("QUANTIZE", [x], [y], options_type="QuantizeOptions", version=2)
        return y

    def dequantize(self, x: Tensor) -> Tensor:
        """DEQUANTIZE: int8 to float32."""
        y = self.tensor(x.shape, np.float32)
        self.operator("DEQUANTIZE", [x], [y], options_type="DequantizeOptions", version=2)
        return y

    # shared parts

    def _like(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        scale = x.scales if x.scales.size else None
        return self.tensor(shape, x.dtype, scale=scale, zero_point=x.zero_point)

    def _windowed(
        self,
        x: Tensor,
        channels: int,
        kernel: Pair,
        stride: Pair,
        dilation: Pair,
        padding: str,
        scale: float,
        zero_point: int,
    ) -> Tensor:
        height, width = (
            output_size(x.shape[1 + i], kernel[i], stride[i], dilation[i], padding) for i in (0, 1)
        )
        shape = (x.shape[0], height, width, channels)
        return self.tensor(shape, x.dtype, scale=scale, zero_point=zero_point)

    def _pool(
        self, code: str, x: Tensor, window: Pair, stride: Pair, padding: str, activation: str
    ) -> Tensor:
        y = self._windowed(
            x, x.shape[3], window, stride, (1, 1), padding, x.scale, zero_point=x.zero_point
        )
        options = _window_options(stride, padding, activation)
        options |= {"filterHeight": window[0], "filterWidth": window[1]}
        self.operator(code, [x], [y], options, options_type="Pool2DOptions", version=2)
        return y

    def _weights_and_bias(
        self,
        x: Tensor,
        weights: NDArray[np.int8],
        bias: NDArray[np.int32] | None,
        weight_scales: ArrayLike,
        channel_dimension: int,
    ) -> list[Tensor]:
        w = self.constant(weights, scale=weight_scales, quantized_dimension=channel_dimension)
        if bias is None:
            # not an omitted third input: DEPTHWISE_CONV_2D of TFLM crashes on that
            return [w]
        scale = np.float32(x.scale) * w.scales if x.dtype in QUANTIZED else None
        return [w, self.constant(bias, scale=scale)]


def output_size(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    """Output rows (or columns) of a windowed operator over `size` input rows."""
    extent = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == "SAME" else (size - extent) // stride + 1


def _activation(name: str) -> int:
    return int(getattr(schema.ActivationFunctionType, name))


def _window_options(stride: Pair, padding: str, activation: str) -> dict[str, Any]:
    return {
        "strideH": stride[0],
        "strideW": stride[1],
        "padding": getattr(schema.Padding, padding),
        "fusedActivationFunction": _activation(activation),
    }
