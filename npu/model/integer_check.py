"""Whether a model is fully integer: the one rule, apart from the reader that applies it."""

from npu.errors import ModelError
from npu.model.graph import Graph, Tensor

ALLOWED_TYPES = frozenset({"int8", "int16", "int32", "int64", "bool"})
ZERO_POINTS = {"int8": (-128, 127), "int16": (0, 0)}
"""The zero points of activations, by type: TFLM demands 0 of int16."""


def check_fully_integer(graph: Graph) -> None:
    """Refuse a model whose activations are neither int8 nor int16.

    Activations (what operators compute, and the network's inputs and outputs) must be int8 with
    one positive scale and a zero point in -128..127, or int16 with one positive scale and zero
    point 0 (16x8 quantization). Weights and biases are integers; shapes, axes and other indices are
    int32, int64 or bool. At its two ends the network may be float32: inputs that only QUANTIZE
    reads, and outputs that DEQUANTIZE writes. SOFTMAX may write an int16 output with another zero
    point.

    Raises `ModelError`, naming the first tensor that breaks the rule.
    """
    used = dict.fromkeys(graph.inputs)
    for op in graph.operators:
        used.update(dict.fromkeys((*op.present_inputs, *op.outputs)))
    used.update(dict.fromkeys(graph.outputs))
    for index in used:
        exceptions = (_float_at_an_end, _int16_softmax, _handle)
        if not any(holds(graph, index) for holds in exceptions):
            _check_tensor(graph.tensors[index])


def _float_at_an_end(graph: Graph, index: int) -> bool:
    if graph.tensors[index].dtype.name != "float32" or graph.tensors[index].is_constant:
        return False
    producer, consumers = graph.producer(index), graph.consumers(index)
    if producer is None:
        return bool(consumers) and all(op.kind == "QUANTIZE" for op in consumers)
    return producer.kind == "DEQUANTIZE" and not consumers


def _int16_softmax(graph: Graph, index: int) -> bool:
    tensor, producer = graph.tensors[index], graph.producer(index)
    at_the_end = producer is not None and producer.kind == "SOFTMAX" and not graph.consumers(index)
    return at_the_end and tensor.dtype.name == "int16" and tensor.quantization is not None


def _handle(graph: Graph, index: int) -> bool:
    producer = graph.producer(index)
    return producer is not None and producer.kind == "VAR_HANDLE" and index not in graph.outputs


def _check_tensor(tensor: Tensor) -> None:
    dtype = tensor.type_name
    if dtype not in ALLOWED_TYPES:
        raise ModelError(
            f"the model is not fully integer: tensor {tensor.name!r} is {dtype.upper()}; convert "
            "it with full-integer quantization, with int8 (or int16) inputs and outputs"
        )
    if tensor.is_constant or dtype not in ZERO_POINTS:
        return
    quantization = tensor.quantization
    if quantization is None:
        raise ModelError(
            f"the model is not fully integer: tensor {tensor.name!r} is {dtype.upper()} without a "
            "scale"
        )
    if not quantization.per_tensor:
        raise ModelError(
            f"tensor {tensor.name!r} is an activation with {quantization.scales.size} scales, "
            "one expected"
        )
    low, high = ZERO_POINTS[dtype]
    if quantization.scale <= 0.0 or not low <= quantization.zero_point <= high:
        allowed = f"{low}..{high}" if low < high else f"zero point {low} ({dtype})"
        raise ModelError(
            f"tensor {tensor.name!r} has scale {quantization.scale:g} and zero point "
            f"{quantization.zero_point}, a positive scale and {allowed} expected"
        )
