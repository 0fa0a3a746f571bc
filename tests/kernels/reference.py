"""Runs a one-operator model through `kernels/`, from the numbers in its file.

The reader here is deliberately not the project's own: it takes scales and attributes from the
flatbuffer's object API, so that a mistake in the project's reader cannot hide one in the kernels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_micro.tensorflow.lite.micro.python import (  # type: ignore[import-untyped]
    schema_py_generated as schema,
)

from kernels import quantization
from kernels.conv import conv2d
from kernels.depthwise import depthwise_conv2d
from kernels.fully_connected import fully_connected

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
        self.inputs = [None if i < 0 else graph.tensors[i] for i in operator.inputs]
        (self.output,) = [graph.tensors[i] for i in operator.outputs]
        self._buffers = unpacked.buffers

    def constant(self, index: int, dtype: Any) -> NDArray[Any] | None:
        """The data of input `index`, or None when it is omitted."""
        if len(self.inputs) <= index or self.inputs[index] is None:
            return None
        tensor = self.inputs[index]
        data = np.asarray(self._buffers[tensor.buffer].data, np.uint8)
        return data.view(dtype).reshape(tuple(tensor.shape))

    def activation_range(self) -> dict[str, int]:
        """Keyword arguments for a kernel with a fused activation."""
        name = ACTIVATIONS[self.options.fusedActivationFunction]
        low, high = quantization.activation_range(name, *quantum(self.output))
        return {"activation_min": low, "activation_max": high}

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
    (ifm_scale, ifm_zero_point), (ofm_scale, ofm_zero_point) = map(
        quantum, (op.inputs[0], op.output)
    )
    multiplier, shift = quantization.conv_multipliers(
        ifm_scale,
        op.inputs[1].quantization.scale,
        ofm_scale,
        weights.shape[3 if depthwise else 0],
    )
    return [weights, bias], {
        **op.windows((weights.shape[1], weights.shape[2]), dilation),
        "dilation": dilation,
        "ifm_zero_point": ifm_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "multiplier": multiplier,
        "shift": shift,
        **op.activation_range(),
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
    (ifm_scale, ifm_zero_point), (ofm_scale, ofm_zero_point) = map(
        quantum, (op.inputs[0], op.output)
    )
    multiplier, shift = quantization.fully_connected_multipliers(
        ifm_scale, op.inputs[1].quantization.scale, ofm_scale, weights.shape[0]
    )
    return [weights, bias], {
        "ifm_zero_point": ifm_zero_point,
        "ofm_zero_point": ofm_zero_point,
        "multiplier": multiplier,
        "shift": shift,
        **op.activation_range(),
    }


def run_fully_connected(model: bytes, ifm: NDArray[np.int8]) -> NDArray[np.int8]:
    """FULLY_CONNECTED."""
    operands, arguments = fully_connected_arguments(model)
    return fully_connected(ifm, *operands, **arguments)
