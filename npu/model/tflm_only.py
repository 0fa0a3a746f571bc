"""What TFLM computes with and no executor of this project does.

Such operators are read like any other: whether one runs is the business of who executes it.
"""

import numpy as np

from npu.model.graph import Graph, Operator
from npu.model.integer_check import UNSCALED, ZERO_POINTS
from npu.model.options import OtherOptions

PARAMETERS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("PAD", "MIRROR_PAD", "TRANSPOSE", "BROADCAST_TO"), (1,)),
    **dict.fromkeys(("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"), (1,)),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "ARG_MAX", "ARG_MIN"), (1,)),
    "PADV2": (1, 2),
    "SPLIT": (0,),
    "SPLIT_V": (1, 2),
    "STRIDED_SLICE": (1, 2, 3),
    "SLICE": (1, 2),
}
"""The positions of inputs that say what an operator does, and have to be constants here."""
SYMMETRIC_INT16 = frozenset(
    {
        *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL"),
        *("ADD", "SUB", "MUL", "MEAN", "SUM", "ABS", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6"),
        *("TANH", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
    }
)
"""The kinds whose kernels here take int16 with zero point 0 only; all others take any."""


def only_tflm(graph: Graph, op: Operator) -> str:
    """Why nothing here executes `op`, although its kind and types have a kernel; empty if it does.

    Options that are not implemented, a computed input that has to be a constant, or int16
    activations with a zero point, or activations without a scale, with which no formula gives what
    TFLM computes.
    """
    if isinstance(op.options, OtherOptions):
        return op.options.reason
    for position in PARAMETERS.get(op.kind, ()):
        tensor = graph.input_tensor(op, position)
        if tensor is not None and not tensor.is_constant:
            return f"input {tensor.name!r} is not a constant"
    if missing := missing_scale(graph, op):
        return missing
    if op.kind in SYMMETRIC_INT16:
        for index in (*op.present_inputs, *op.outputs):
            tensor = graph.tensors[index]
            quantization = tensor.quantization
            if tensor.dtype == np.int16 and quantization and np.any(quantization.zero_points):
                return f"{tensor.name!r} is int16 with zero point {quantization.zero_point}"
    return ""


def missing_scale(graph: Graph, op: Operator) -> str:
    """Which activation has no scale although `op` computes with it; empty if none."""
    if op.kind in UNSCALED:
        for index in (*op.present_inputs, *op.outputs):
            tensor = graph.tensors[index]
            if tensor.type_name in ZERO_POINTS and tensor.quantization is None:
                return f"{tensor.name!r} is {tensor.type_name} without a scale"
    return ""
