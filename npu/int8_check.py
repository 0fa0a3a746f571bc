"""Whether a model is fully int8: the one rule, apart from the reader that applies it."""

from npu.errors import ModelError
from npu.graph import Graph, Tensor

# int32 is also the type of biases; shapes, axes and other indices are not activations
ALLOWED_TYPES = frozenset({"int8", "int32", "int64", "bool"})


def check_fully_int8(graph: Graph) -> None:
    """Refuse a model whose activations or weights are not int8.

    Activations (what operators compute, and the network's inputs and outputs) must be int8 with
    one positive scale and a zero point in -128..127. Biases are int32; shapes, axes and other
    indices are int32, int64 or bool. At its two ends the network may be float32: inputs that only
    QUANTIZE reads, and outputs that DEQUANTIZE writes. SOFTMAX may write an int16 output, and
    SVDF may have an int16 state and int16 weights over it.

    Raises `ModelError`, naming the first tensor that breaks the rule.
    """
    used = dict.fromkeys(graph.inputs)
    for op in graph.operators:
        used.update(dict.fromkeys((*op.present_inputs, *op.outputs)))
    used.update(dict.fromkeys(graph.outputs))
    for index in used:
        exceptions = (_float_at_an_end, _int16_softmax, _int16_svdf)
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


def _int16_svdf(graph: Graph, index: int) -> bool:
    consumers = graph.consumers(index)
    if graph.tensors[index].dtype.name != "int16" or graph.producer(index) is not None:
        return False
    return bool(consumers) and all(
        op.kind == "SVDF" and index in op.inputs[2::2] and index not in op.inputs[:2]
        for op in consumers
    )


def _check_tensor(tensor: Tensor) -> None:
    if tensor.dtype.name not in ALLOWED_TYPES:
        raise ModelError(
            f"the model is not fully int8: tensor {tensor.name!r} is {tensor.dtype.name.upper()}; "
            "convert it with full-integer quantization, with int8 inputs and outputs"
        )
    if tensor.is_constant or tensor.dtype.name != "int8":
        return
    quantization = tensor.quantization
    if quantization is None:
        raise ModelError(
            f"the model is not fully int8: tensor {tensor.name!r} is INT8 without a scale"
        )
    if not quantization.per_tensor:
        raise ModelError(
            f"tensor {tensor.name!r} is an activation with {quantization.scales.size} scales, "
            "one expected"
        )
    if quantization.scale <= 0.0 or not -128 <= quantization.zero_point <= 127:
        raise ModelError(
            f"tensor {tensor.name!r} has scale {quantization.scale:g} and zero point "
            f"{quantization.zero_point}, a positive scale and -128..127 expected"
        )
