"""Runs a one-operator model through `kernels/`, from the numbers in its file.

The reader here is deliberately not the project's own: it takes scales and attributes from the
flatbuffer's object API, so that a mistake in the project's reader cannot hide one in the kernels.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from kernels import quantization
from kernels.conv import conv2d
from kernels.depthwise import depthwise_conv2d
from kernels.elementwise import add
from kernels.fully_connected import fully_connected
from kernels.output_stage import OutputStage
from kernels.pooling import average_pool2d, max_pool2d
from kernels.quantize import dequantize, quantize_float, requantize
from kernels.reduce import mean
from kernels.shape import pad, reshape
from kernels.softmax import softmax

PADDINGS = {schema.Padding.SAME: "SAME", schema.Padding.VALID: "VALID"}
ACTIVATIONS = {
    getattr(schema.ActivationFunctionType, name): name for name in quantization.ACTIVATIONS
}


class Operator:
    """The only operator of a model: its tensors' quantization, constants and options."""

    def __init__(self, model: bytes) -> None:
        unpacked = schema.ModelT.InitFromPackedBuf(model, 0)
        graph = unpacked.subgraphs[0]
        (operator,) = graph.operators
        self.options = operator.builtinOptions
        self.inputs: list[Any] = [None if i < 0 else graph.tensors[i] for i in operator.inputs]
        (self.output,) = [graph.tensors[i] for i in operator.outputs]
        self._buffers = unpacked.buffers

    def constant(self, index: int, dtype: Any) -> NDArray[Any] | None:
        """The data of input `index`, or None when it is omitted."""
        if len(self.inputs) <= index or self.inputs[index] is None:
            return None
        tensor = self.inputs[index]
        data = np.asarray(self._buffers[tensor.buffer].data, np.uint8)
        array: NDArray[Any] = data.view(dtype).reshape(tuple(tensor.shape))
        return array

    def activation_range(self) -> dict[str, int]:
        """Keyword arguments for a kernel with a fused activation."""
        name = ACTIVATIONS[self.options.fusedActivationFunction]
        low, high = quantization.activation_range(name, *quantum(self.output))
        return {"activation_min": low, "activation_max": high}

    def output_stage(self, channels: int, *, ifm: int = 0, bits: int = 8) -> OutputStage:
        """What follows the sums of an operator with weights and so many output channels."""
        (ifm_scale, _), (scale, zero_point) = map(quantum, (self.inputs[ifm], self.output))
        weight_scales = self.inputs[1].quantization.scale
        multiplier, shift = quantization.conv_multipliers(ifm_scale, weight_scales, scale, channels)
        name = ACTIVATIONS[self.options.fusedActivationFunction]
        low, high = quantization.activation_range(name, scale, zero_point, bits=bits)
        return OutputStage(multiplier, shift, zero_point, low, high)

    def windows(self, kernel: tuple[int, int], dilation: tuple[int, int]) -> dict[str, Any]:
        """Keyword arguments for a kernel with a sliding window."""
        stride = self.options.strideH, self.options.strideW
        padding = PADDINGS[self.options.padding]
        shape = self.inputs[0].shape
        found = [
            quantization.window(shape[1 + i], kernel[i], stride[i], dilation[i], padding)
            for i in (0, 1)
        ]
        return {
            "stride": stride,
            "padding": tuple(w.before for w in found),
            "ofm_hw": tuple(w.output for w in found),
        }


def quantum(tensor: Any) -> tuple[float, int]:
    """(scale, zero point) of a per-tensor quantized tensor."""
    return float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])


def conv_arguments(model: bytes) -> tuple[list[Any], dict[str, Any]]:
    """(weights and bias, keyword arguments) of `conv2d` or `depthwise_conv2d`."""
    op = Operator(model)
    weights, bias = op.constant(1, np.int8), op.constant(2, np.int32)
    assert weights is not None
    depthwise = hasattr(op.options, "depthMultiplier")
    dilation = op.options.dilationHFactor, op.options.dilationWFactor
    return [weights, bias], {
        **op.windows((weights.shape[1], weights.shape[2]), dilation),
        "dilation": dilation,
        "ifm_zero_point": quantum(op.inputs[0])[1],
        "stage": op.output_stage(weights.shape[3 if depthwise else 0]),
    }


def run_conv2d(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """CONV_2D."""
    operands, arguments = conv_arguments(model)
    return conv2d(ifm, *operands, **arguments)


def run_depthwise(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """DEPTHWISE_CONV_2D."""
    operands, arguments = conv_arguments(model)
    return depthwise_conv2d(ifm, *operands, **arguments)


def fully_connected_arguments(model: bytes) -> tuple[list[Any], dict[str, Any]]:
    """(weights and bias, keyword arguments) of `fully_connected`."""
    op = Operator(model)
    weights, bias = op.constant(1, np.int8), op.constant(2, np.int32)
    assert weights is not None
    return [weights, bias], {
        "ifm_zero_point": quantum(op.inputs[0])[1],
        "stage": op.output_stage(weights.shape[0]),
    }


def run_fully_connected(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """FULLY_CONNECTED."""
    operands, arguments = fully_connected_arguments(model)
    return fully_connected(ifm, *operands, **arguments)


def add_arguments(model: bytes) -> dict[str, Any]:
    """Keyword arguments of `add`."""
    op = Operator(model)
    (a_scale, a_zero_point), (b_scale, b_zero_point), (ofm_scale, ofm_zero_point) = map(
        quantum, (*op.inputs, op.output)
    )
    return {
        "a_zero_point": a_zero_point,
        "b_zero_point": b_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "parameters": quantization.add_parameters(a_scale, b_scale, ofm_scale),
        **op.activation_range(),
    }


def run_add(model: bytes, a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int8]:
    """ADD."""
    return add(a, b, **add_arguments(model))


def pool_arguments(model: bytes) -> dict[str, Any]:
    """Keyword arguments of a pooling."""
    op = Operator(model)
    kernel = op.options.filterHeight, op.options.filterWidth
    return {"window": kernel, **op.windows(kernel, (1, 1)), **op.activation_range()}


def run_average_pool(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """AVERAGE_POOL_2D."""
    return average_pool2d(ifm, **pool_arguments(model))


def run_max_pool(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """MAX_POOL_2D."""
    return max_pool2d(ifm, **pool_arguments(model))


def mean_arguments(model: bytes) -> tuple[tuple[int, ...], dict[str, Any]]:
    """(axes, keyword arguments) of `mean`."""
    op = Operator(model)
    indices = op.constant(1, np.int32)
    assert indices is not None
    axes = tuple(int(axis) for axis in indices)
    (ifm_scale, ifm_zero_point), (ofm_scale, ofm_zero_point) = map(
        quantum, (op.inputs[0], op.output)
    )
    shape = op.inputs[0].shape
    count = int(np.prod([shape[axis] for axis in quantization.resolve_axes(axes, len(shape))]))
    multiplier, shift = quantization.mean_multiplier(ifm_scale, ofm_scale, count)
    return axes, {
        "keep_dims": bool(op.options.keepDims),
        "ifm_zero_point": ifm_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }


def run_mean(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """MEAN."""
    axes, arguments = mean_arguments(model)
    return mean(ifm, axes, **arguments)


def run_pad(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """PAD."""
    op = Operator(model)
    paddings = op.constant(1, np.int32)
    assert paddings is not None
    pairs = [(int(before), int(after)) for before, after in paddings]
    return pad(ifm, pairs, value=quantum(op.output)[1])


def run_reshape(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """RESHAPE."""
    return reshape(ifm, [int(n) for n in Operator(model).options.newShape])


def run_softmax(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """SOFTMAX."""
    op = Operator(model)
    scale, _ = quantum(op.inputs[0])
    return softmax(ifm, parameters=quantization.softmax_parameters(op.options.beta, scale))


def requantize_arguments(model: bytes) -> dict[str, int]:
    """Keyword arguments of `requantize`."""
    op = Operator(model)
    (ifm_scale, ifm_zero_point), (ofm_scale, ofm_zero_point) = map(
        quantum, (op.inputs[0], op.output)
    )
    multiplier, shift = quantization.rescale_multiplier(ifm_scale, ofm_scale)
    return {
        "ifm_zero_point": ifm_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "multiplier": multiplier,
        "shift": shift,
    }


def run_requantize(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """QUANTIZE, int8 to int8."""
    arguments: dict[str, Any] = requantize_arguments(model)
    return requantize(ifm, **arguments)


def run_quantize_float(model: bytes, ifm: NDArray[np.float32]) -> NDArray[np.int8]:
    """QUANTIZE, float32 to int8."""
    scale, zero_point = quantum(Operator(model).output)
    return quantize_float(ifm, scale=scale, zero_point=zero_point)


def run_dequantize(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.float32]:
    """DEQUANTIZE."""
    scale, zero_point = quantum(Operator(model).inputs[0])
    return dequantize(ifm, scale=scale, zero_point=zero_point)
