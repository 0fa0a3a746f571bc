"""Reads the graph of a live interpreter, operator by operator, into `npu.model.graph.Graph`."""

import ctypes
from collections.abc import Iterable
from ctypes import addressof, c_float, c_int, c_void_p
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.int4 import unpack_int4
from npu.compiler.rules.operators import RULES
from npu.errors import ModelError
from npu.model.folding import fold_constants
from npu.model.graph import ABSENT, RESOURCE, Graph, Operator, Quantization, Tensor
from npu.model.graph_checks import PER_CHANNEL
from npu.model.integer_check import check_quantized
from npu.model.open_batch import close_batches
from npu.model.options import OtherOptions
from npu.model.schema import OPERATOR_NAMES
from npu.model.shape_rules import check_shapes
from npu.tflite_delegate.abi import (
    AFFINE,
    CONSTANT,
    CUSTOM,
    TENSOR_BYTES,
    TfLiteAffineQuantization,
    TfLiteContext,
    TfLiteRegistration,
    TfLiteTensor,
    node_at,
    read_int_array,
    tensor_at,
)
from npu.tflite_delegate.abi_check import (
    HIGHEST_RANK,
    MOST_TENSORS,
    AbiError,
    MappedMemory,
    check_node,
    check_status,
    check_tensors,
)
from npu.tflite_delegate.element_types import ELEMENT_TYPES, INT4
from npu.tflite_delegate.node_options import node_options


@dataclass(frozen=True)
class LiveGraph:
    """A subgraph of an interpreter.

    Attributes
    ----------
    graph : its operators in execution order, numbered as the interpreter's nodes. The interpreter
        does not tell which tensors are outputs; taken for it are those that nothing reads.
    refused : why an operator cannot be understood, by index.
    computed : constants of `graph` that the interpreter computes from shapes.
    """

    graph: Graph
    refused: dict[int, str]
    computed: frozenset[int]


def read_graph(context_address: int) -> LiveGraph:
    """The graph of the interpreter whose context is at `context_address`.

    Raises `AbiError` when its structures are not those that are declared here.
    """
    memory = MappedMemory()
    memory.require(context_address, ctypes.sizeof(TfLiteContext), "the interpreter's context")
    context = TfLiteContext.from_address(context_address)
    check_tensors(context, memory)
    plan = c_void_p()
    check_status(context.GetExecutionPlan(context_address, ctypes.byref(plan)), "its plan")
    # copied at once: what follows makes the interpreter change it
    order = memory.integers(plan.value, MOST_TENSORS, "the execution plan")
    operators: list[Operator] = []
    refused: dict[int, str] = {}
    operands: set[int] = set()
    for index in order:
        op, reason = _operator(context, memory, index)
        operators.append(op)
        if reason:
            refused[index] = reason
        operands.update(op.present_inputs)
    several = {
        op.inputs[i] for op in operators for i in PER_CHANNEL.get(op.kind, ()) if i < len(op.inputs)
    }
    tensors = tuple(
        _tensor(context, memory, i, i in operands, i in several)
        for i in range(context.tensors_size)
    )
    graph = _with_ends(Graph("interpreter", tensors, tuple(operators), (), ()))
    stored = {t.index for t in graph.tensors if t.is_constant}
    graph = fold_constants(close_batches(graph))
    computed = frozenset(t.index for t in graph.tensors if t.is_constant) - stored
    for op in graph.operators:
        if op.index not in refused:
            reason = _reason_against(graph, op)
            if reason:
                refused[op.index] = reason
    return LiveGraph(graph, refused, computed)


def _operator(
    context: TfLiteContext, memory: MappedMemory, index: int
) -> tuple[Operator, str | None]:
    try:
        node, registration = node_at(context, index)
    except LookupError as error:
        raise AbiError(str(error)) from None
    memory.require(addressof(node), ctypes.sizeof(node), "a node")
    # of an older interpreter the end of the structure is missing, which is not read
    memory.require(addressof(registration), TfLiteRegistration.version.offset, "a kernel")
    check_node(context, memory, node, registration)
    kind = _kind(registration)
    reason = None
    try:
        options = node_options(kind, node.builtin_data)
    except ModelError as error:
        reason = str(error)
        options = OtherOptions(reason=reason)
    inputs, outputs = read_int_array(node.inputs), read_int_array(node.outputs)
    return Operator(index, kind, inputs, outputs, options), reason


def _kind(registration: TfLiteRegistration) -> str:
    code = registration.builtin_code
    if code == CUSTOM:
        return f"CUSTOM:{(registration.custom_name or b'').decode('utf-8', errors='replace')}"
    return OPERATOR_NAMES.get(code, f"BUILTIN:{code}")


def _tensor(
    context: TfLiteContext, memory: MappedMemory, index: int, read: bool, several: bool
) -> Tensor:
    source = tensor_at(context, index)
    name = _name(source, memory) or f"tensor{index}"
    shape = read_int_array(source.dims)
    dtype = ELEMENT_TYPES.get(source.type, RESOURCE)
    value: NDArray[Any] | None = None
    if read and source.allocation_type == CONSTANT and source.data and source.bytes:
        # a copy, so that it outlives the interpreter
        data = ctypes.string_at(source.data, source.bytes)
        if source.type == INT4 and len(data) == (prod(shape) + 1) // 2:
            dtype = np.dtype(np.int8)
            value = unpack_int4(np.frombuffer(data, np.uint8), prod(shape)).reshape(shape)
        elif dtype != RESOURCE:
            value = np.frombuffer(data, dtype).reshape(shape)
    quantization = _quantization(source, memory, shape)
    if quantization is not None and not several:
        # as TFLM reads it: only weights and biases have several scales
        quantization = replace(
            quantization, scales=quantization.scales[:1], zero_points=quantization.zero_points[:1]
        )
    return Tensor(index, name, shape, dtype, quantization, value, bool(source.is_variable))


def _name(source: TfLiteTensor, memory: MappedMemory) -> str:
    address = c_void_p.from_address(addressof(source) + TfLiteTensor.name.offset).value
    if not memory.has(address, 1):
        return ""
    return (source.name or b"").decode("utf-8", errors="replace")


def _quantization(
    source: TfLiteTensor, memory: MappedMemory, shape: tuple[int, ...]
) -> Quantization | None:
    if source.quantization_type != AFFINE or not source.quantization_params:
        return None
    what = "a quantization"
    memory.require(source.quantization_params, ctypes.sizeof(TfLiteAffineQuantization), what)
    found = TfLiteAffineQuantization.from_address(source.quantization_params)
    zero_points = memory.integers(found.zero_point, MOST_TENSORS, what)
    scales = _scales(found.scale, memory, {1, *shape, len(zero_points)})
    if not scales or not zero_points:
        return None
    if (
        len(zero_points) not in (1, len(scales))
        or not 0 <= found.quantized_dimension < HIGHEST_RANK
    ):
        raise AbiError(f"a tensor has {len(scales)} scales and {len(zero_points)} zero points")
    stored = np.array(scales, np.float32)
    every = np.empty(len(scales), np.int64)
    every[:] = zero_points
    return Quantization(stored, every, found.quantized_dimension)


def _scales(address: int | None, memory: MappedMemory, counts: Iterable[int]) -> tuple[float, ...]:
    """A `TfLiteFloatArray`, of which there are two forms: elements behind the size, or elsewhere.

    The second one is {pointer, size}. A size is one of `counts`; elements are scales, which are
    finite and not negative; half an address would be a number below all normal ones.
    """
    if not address:
        return ()
    memory.require(address, 16, "the scales of a tensor")
    allowed = set(counts)
    count = c_int.from_address(address).value
    behind = address + ctypes.sizeof(c_int)
    places = [(count, behind)] if count in allowed else []
    second = c_int.from_address(address + ctypes.sizeof(c_void_p)).value
    if second in allowed:
        places.append((second, c_void_p.from_address(address).value or 0))
    for size, start in places:
        if size == 0:
            return ()
        if memory.has(start, 4 * size):
            values = tuple((c_float * size).from_address(start))
            if all(value == 0 or 1e-37 < value < 1e37 for value in values):
                return values
    raise AbiError("the scales of a tensor are not where they are expected")


def _with_ends(graph: Graph) -> Graph:
    read = dict.fromkeys(i for op in graph.operators for i in op.present_inputs)
    written = dict.fromkeys(i for op in graph.operators for i in op.outputs)
    inputs = [
        i
        for i in read
        if i not in written
        and not graph.tensors[i].is_constant
        and not graph.tensors[i].is_variable
    ]
    return replace(graph, inputs=tuple(inputs), outputs=tuple(i for i in written if i not in read))


def _reason_against(graph: Graph, op: Operator) -> str:
    """What the reader of files would refuse the whole model for; empty if nothing.

    Only of kinds that the NPU runs: options of others have not been read.
    """
    if op.kind not in RULES:
        return ""
    if any(t != ABSENT and graph.tensors[t].dtype == RESOURCE for t in (*op.inputs, *op.outputs)):
        return "it works on other data than numbers"
    alone = replace(graph, operators=(op,), inputs=(), outputs=())
    try:
        check_quantized(alone)
        check_shapes(alone)
    except ModelError as error:
        return str(error)
    return ""


assert TENSOR_BYTES % ctypes.sizeof(c_void_p) == 0
