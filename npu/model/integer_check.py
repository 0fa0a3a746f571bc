"""Whether a model is quantized: the one rule, apart from the reader that applies it.

TFLM is the judge of which types an operator takes; here only whole models are turned away that
were never quantized, or in a way that TFLM dropped, and numbers that mean nothing.
"""

from npu.errors import ModelError
from npu.model.graph import RESOURCE, Graph, Operator, Tensor

WEIGHTED = frozenset(
    {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "FULLY_CONNECTED",
        "TRANSPOSE_CONV",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    }
)
"""The kinds with weights: what they compute in says how a model was quantized."""
SCALED = WEIGHTED | {
    *("ADD", "SUB", "MUL", "DIV", "SQUARED_DIFFERENCE", "BATCH_MATMUL", "MEAN", "SUM", "PRELU"),
    *("ABS", "ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH", "RSQRT"),
    *("SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", "QUANTIZE", "DEQUANTIZE"),
}
"""The kinds that cannot compute without the scales of their int8, uint8 or int16 activations."""
UNSCALED = frozenset({"RELU", "RELU6"})
"""The kinds of `SCALED` that TFLM runs without a scale all the same."""
ZERO_POINTS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-(1 << 15), (1 << 15) - 1)}
"""The zero points of activations, by type."""
UNKNOWN_TYPES = frozenset({"float16", "float64", "complex64", "complex128"})
"""Types that no kernel of TFLM computes in."""
ADVICE = (
    "convert it with full-integer quantization (a representative data set, TFLITE_BUILTINS_INT8)"
)


def check_quantized(graph: Graph) -> None:
    """Refuse a network that is not quantized to int8 or int16, subgraphs included.

    Float operators between quantized ones, as the converter writes them, are accepted, and so are
    float32 or uint8 at the network's ends. Refused are a network whose weights are all computed
    with in float32, or that holds nothing quantized at all; weights of uint8, which TFLM does not
    run either; and activations that an operator cannot compute with: int8, uint8 or int16 without a
    positive scale, or with a zero point that the type does not hold.

    Raises `ModelError`, naming the first operator or tensor that breaks the rule.
    """
    graphs = graph.with_subgraphs()
    for each in graphs:
        _check_handles(each)
        for op in each.operators:
            _check_types(each, op)
    weighted = [(g, op) for g in graphs for op in g.operators if op.kind in WEIGHTED]
    floats = [(g, op) for g, op in weighted if _computes_in(g, op) == "float32"]
    if floats and len(floats) == len(weighted):
        _, first = floats[0]
        raise ModelError(
            f"the model is not quantized: operator {first.index} ({first.kind}) computes in "
            f"float32; {ADVICE}"
        )
    types = {g.tensors[i].type_name for g in graphs for i in _used(g)}
    if "float32" in types and not types & ZERO_POINTS.keys():
        raise ModelError(f"the model is not quantized: it holds float32 only; {ADVICE}")
    for each in graphs:
        for op in each.operators:
            _check_scales(each, op)


def _used(graph: Graph) -> set[int]:
    found = {*graph.inputs, *graph.outputs}
    for op in graph.operators:
        found.update((*op.present_inputs, *op.outputs))
    return found


def _operands(graph: Graph, op: Operator) -> list[Tensor]:
    return [graph.tensors[i] for i in (*op.present_inputs, *op.outputs)]


def _computes_in(graph: Graph, op: Operator) -> str:
    return graph.tensors[op.outputs[0]].type_name if op.outputs else ""


def _check_handles(graph: Graph) -> None:
    for index in _used(graph):
        tensor, producer = graph.tensors[index], graph.producer(index)
        made_here = producer is not None and producer.kind == "VAR_HANDLE"
        if tensor.dtype == RESOURCE and (not made_here or index in graph.outputs):
            raise ModelError(
                f"tensor {tensor.name!r} is a resource that VAR_HANDLE does not make here, or that "
                "leaves the network; variables are used where their handle is"
            )


def _check_types(graph: Graph, op: Operator) -> None:
    for tensor in _operands(graph, op):
        name = tensor.type_name
        if name in UNKNOWN_TYPES:
            raise ModelError(
                f"the model is not quantized: tensor {tensor.name!r} is {name.upper()}; {ADVICE}"
            )
        if name == "uint8" and op.kind in SCALED - {"QUANTIZE", "DEQUANTIZE"}:
            raise ModelError(
                f"operator {op.index} ({op.kind}) computes in uint8, as TensorFlow 1 quantized, "
                "which TFLM does not run either; convert the float model again with TensorFlow 2, "
                "which quantizes to int8"
            )


def _check_scales(graph: Graph, op: Operator) -> None:
    if op.kind not in SCALED:
        return
    where = f"operator {op.index} ({op.kind})"
    for tensor in _operands(graph, op):
        allowed = ZERO_POINTS.get(tensor.type_name)
        quantization = tensor.quantization
        weights = tensor.is_constant and (op.kind in WEIGHTED or quantization is None)
        if allowed is None or weights:
            continue
        if quantization is None and op.kind in UNSCALED:
            continue
        if quantization is None:
            raise ModelError(
                f"{where}: tensor {tensor.name!r} is {tensor.type_name} without a scale"
            )
        low, high = allowed
        if quantization.scale <= 0.0 or not low <= quantization.zero_point <= high:
            raise ModelError(
                f"{where}: tensor {tensor.name!r} is {tensor.type_name} with scale "
                f"{quantization.scale:g} and zero point {quantization.zero_point}; a positive "
                f"scale and a zero point from {low} to {high} expected"
            )
