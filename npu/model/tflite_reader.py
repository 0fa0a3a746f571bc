"""Reads a `.tflite` file into a `Graph`, and refuses what this project cannot run.

The flatbuffer is not trusted: offsets are followed by the generated classes, which raise on most
of what is broken, and everything they return is checked here before it is used as an index or a
size.
"""

import struct
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from kernels.int4 import unpack_int4
from npu.errors import ModelError
from npu.model.graph import RESOURCE, Graph, Operator, Quantization, Tensor
from npu.model.graph_checks import (
    check_int4,
    check_order,
    check_references,
    check_something_to_run,
    refuse_control_flow,
)
from npu.model.integer_check import check_fully_integer
from npu.model.options import CallOnceOptions
from npu.model.shape_rules import check_shapes
from npu.model.shape_rules.state import check_variables
from npu.model.tflite_options import read_options

IDENTIFIER = b"TFL3"
# TFLite's own limit for a file; also keeps a corrupted shape from asking for all memory
MAX_TENSOR_BYTES = 1 << 31

# places of the two strings in the virtual tables of Tensor and OperatorCode: 4 + 2 * field number
_TENSOR_NAME = 10
_CUSTOM_CODE = 6

# what the generated classes and numpy raise on offsets and lengths that lead nowhere
_CORRUPTION_ERRORS = (
    struct.error,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)

_NUMPY_TYPES: dict[int, str] = {
    tflite.TensorType.FLOAT32: "float32",
    tflite.TensorType.FLOAT16: "float16",
    tflite.TensorType.FLOAT64: "float64",
    tflite.TensorType.INT8: "int8",
    tflite.TensorType.INT16: "int16",
    tflite.TensorType.INT32: "int32",
    tflite.TensorType.INT64: "int64",
    tflite.TensorType.UINT8: "uint8",
    tflite.TensorType.UINT16: "uint16",
    tflite.TensorType.UINT32: "uint32",
    tflite.TensorType.UINT64: "uint64",
    tflite.TensorType.BOOL: "bool",
    tflite.TensorType.RESOURCE: RESOURCE.str,
    tflite.TensorType.COMPLEX64: "complex64",
    tflite.TensorType.COMPLEX128: "complex128",
}
_TYPE_NAMES: dict[int, str] = {
    value: name for name, value in vars(tflite.TensorType).items() if isinstance(value, int)
}


def read_model(path: Path | str) -> Graph:
    """Read the `.tflite` file at `path`.

    Raises `ModelError` when the file is missing, is not a whole and consistent `.tflite`, uses
    control flow (other than to initialize variables) or dynamic shapes (other than a batch
    dimension, which runs as 1), or is not fully integer. Unknown operators are read: only
    executing them is refused. Weights of four bits become int8.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read model '{path}': {error.strerror or error}") from None
    return read_model_bytes(data, path.stem, origin=f"'{path}'")


def read_model_bytes(data: bytes, name: str, *, origin: str = "the model") -> Graph:
    """Read the contents of a `.tflite` file; `origin` is what messages call it.

    Raises `ModelError` as `read_model` does.
    """
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise ModelError(
            f"{origin} is not a .tflite model: identifier {IDENTIFIER.decode()!r} expected "
            f"at byte 4 of {len(data)} bytes"
        )
    try:
        graph = _ModelReader(data).read(name)
        for each in (graph, *graph.initializers.values()):
            check_fully_integer(each)
            check_shapes(each)
        check_variables(graph)
    except ModelError as error:
        raise ModelError(f"{origin}: {error}") from None
    except _CORRUPTION_ERRORS as error:
        raise ModelError(
            f"{origin} is truncated or corrupted ({len(data)} bytes; {type(error).__name__} while "
            "following its offsets)"
        ) from None
    return graph


class _ModelReader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._model = tflite.Model.GetRootAs(data, 0)
        self._int4: set[int] = set()

    def read(self, name: str) -> Graph:
        if self._model.Version() != 3:
            raise ModelError(f"schema version {self._model.Version()}, 3 expected")
        if self._model.SubgraphsLength() < 1:
            raise ModelError("the model holds no subgraph")
        graph = self._subgraph(0, name)
        initializers = {
            op.options_as(CallOnceOptions).subgraph: self._initializer(graph, op)
            for op in graph.operators
            if op.kind == "CALL_ONCE"
        }
        return replace(graph, initializers=initializers)

    def _initializer(self, graph: Graph, op: Operator) -> Graph:
        where, index = f"operator {op.index} (CALL_ONCE)", op.options_as(CallOnceOptions).subgraph
        if not 1 <= index < self._model.SubgraphsLength():
            raise ModelError(
                f"{where} calls subgraph {index}, one from 1 to "
                f"{self._model.SubgraphsLength() - 1} expected"
            )
        called = self._subgraph(index, f"{graph.name}.{index}")
        if called.inputs or called.outputs or any(o.kind == "CALL_ONCE" for o in called.operators):
            raise ModelError(
                f"{where} calls a subgraph with {len(called.inputs)} inputs, {len(called.outputs)} "
                "outputs or calls of its own, none of these expected"
            )
        return called

    def _subgraph(self, index: int, name: str) -> Graph:
        subgraph = self._model.Subgraphs(index)
        operators = tuple(
            self._operator(i, subgraph.Operators(i)) for i in range(subgraph.OperatorsLength())
        )
        if self._model.SubgraphsLength() > 1:
            refuse_control_flow(operators, self._model.SubgraphsLength())
        count = subgraph.TensorsLength()
        inputs = tuple(subgraph.Inputs(i) for i in range(subgraph.InputsLength()))
        outputs = tuple(subgraph.Outputs(i) for i in range(subgraph.OutputsLength()))
        if index == 0:
            check_something_to_run(operators, inputs, outputs)
        used = check_references(operators, inputs, outputs, count)
        self._int4.clear()
        tensors = tuple(self._tensor(i, subgraph.Tensors(i), i in used) for i in range(count))
        graph = Graph(name, tensors, operators, inputs, outputs)
        check_order(graph)
        check_int4(graph, self._int4)
        return graph

    def _operator(self, index: int, op: Any) -> Operator:
        code_index = op.OpcodeIndex()
        if code_index >= self._model.OperatorCodesLength():
            raise ModelError(
                f"operator {index} uses operator code {code_index} of "
                f"{self._model.OperatorCodesLength()}"
            )
        kind = self._kind(self._model.OperatorCodes(code_index))
        return Operator(
            index=index,
            kind=kind,
            inputs=tuple(op.Inputs(i) for i in range(op.InputsLength())),
            outputs=tuple(op.Outputs(i) for i in range(op.OutputsLength())),
            options=read_options(kind, index, op),
        )

    def _tensor(self, index: int, tensor: Any, used: bool) -> Tensor:
        name = self._text(tensor, _TENSOR_NAME) or f"tensor{index}"
        type_code = tensor.Type()
        if type_code == tflite.TensorType.INT4:
            return self._int4_tensor(index, tensor, name)
        if type_code not in _NUMPY_TYPES:
            given = _TYPE_NAMES.get(type_code, f"of unknown type {type_code}")
            raise ModelError(f"the model is not fully integer: tensor {name!r} is {given}")
        if tensor.Sparsity() is not None:
            raise ModelError(f"tensor {name!r} is stored sparse, dense tensors expected")
        dtype = np.dtype(_NUMPY_TYPES[type_code])
        data = self._buffer(tensor.Buffer(), name)
        # the converter leaves tensors without shape or size that nothing uses
        empty = data is not None or not used or dtype == RESOURCE
        shape = _static_shape(tensor, name, may_be_empty=empty)
        size = prod(shape) * dtype.itemsize
        if size > MAX_TENSOR_BYTES:
            raise ModelError(
                f"tensor {name!r} of shape {list(shape)} takes {size} bytes, over 2 GiB"
            )
        value: NDArray[Any] | None = None
        if data is not None:
            if len(data) != size:
                raise ModelError(
                    f"tensor {name!r} of shape {list(shape)} and type {dtype.name} needs {size} "
                    f"bytes, its buffer has {len(data)}"
                )
            # a copy, because a view into the file would be unaligned
            value = np.frombuffer(data, dtype).reshape(shape).copy()
            value.flags.writeable = False
        quantization = _quantization(tensor, name, shape)
        is_variable = bool(tensor.IsVariable()) and value is None
        return Tensor(index, name, shape, dtype, quantization, value, is_variable)

    def _int4_tensor(self, index: int, tensor: Any, name: str) -> Tensor:
        data = self._buffer(tensor.Buffer(), name)
        if data is None or tensor.Sparsity() is not None:
            raise ModelError(f"the model is not fully integer: tensor {name!r} is INT4")
        shape = _static_shape(tensor, name, may_be_empty=True)
        try:
            value = unpack_int4(np.frombuffer(data, np.uint8), prod(shape)).reshape(shape)
        except ValueError as error:
            raise ModelError(
                f"tensor {name!r} of shape {list(shape)} and type int4: {error}"
            ) from None
        value.flags.writeable = False
        self._int4.add(index)
        return Tensor(index, name, shape, value.dtype, _quantization(tensor, name, shape), value)

    def _buffer(self, index: int, name: str) -> bytes | None:
        if index >= self._model.BuffersLength():
            raise ModelError(
                f"tensor {name!r} uses buffer {index} of {self._model.BuffersLength()}"
            )
        buffer = self._model.Buffers(index)
        # offset 1 marks, in a model under construction, a buffer that will follow the tables
        if buffer.Offset() > 1:
            end = buffer.Offset() + buffer.Size()
            if end > len(self._data):
                raise ModelError(
                    f"the file is truncated: tensor {name!r} ends at byte {end} of "
                    f"{len(self._data)}"
                )
            return self._data[buffer.Offset() : end]
        if buffer.DataLength() == 0:
            return None
        array: NDArray[np.uint8] = buffer.DataAsNumpy()
        return array.tobytes()

    def _kind(self, code: Any) -> str:
        # operator codes often end the file: reading a whole one notices that its end is missing
        code.Version()
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if builtin == tflite.BuiltinOperator.CUSTOM:
            return f"CUSTOM:{self._text(code, _CUSTOM_CODE)}"
        return str(tflite.BUILTIN_OPCODE2NAME.get(builtin, f"BUILTIN:{builtin}"))

    def _text(self, table: Any, field: int) -> str:
        # not by the generated accessor, which cuts a string off at the end of a truncated file
        # without a word
        flat = table._tab
        offset = flat.Offset(field)
        if offset == 0:
            return ""
        start = flat.Vector(offset)
        end = start + flat.VectorLen(offset)
        if end >= len(self._data):
            raise ModelError(f"the file is truncated: a string ends at byte {end}")
        return self._data[start:end].decode("utf-8", errors="replace")


def _static_shape(tensor: Any, name: str, *, may_be_empty: bool) -> tuple[int, ...]:
    shape = tuple(tensor.Shape(i) for i in range(tensor.ShapeLength()))
    signature = tuple(tensor.ShapeSignature(i) for i in range(tensor.ShapeSignatureLength()))
    if not shape and not may_be_empty and not tensor.HasRank():
        raise ModelError(f"tensor {name!r} has no shape, static shapes expected")
    # every converted network has a batch of unknown size: that one dimension runs as stored
    if any(n < 0 for n in (*shape, *signature[1:])):
        given = signature if any(n < 0 for n in signature) else shape
        raise ModelError(
            f"tensor {name!r} has the dynamic shape {list(given)}, static shapes expected "
            "(only the batch may be -1)"
        )
    if any(n == 0 for n in shape) and not may_be_empty:
        raise ModelError(f"tensor {name!r} of shape {list(shape)} is empty")
    return shape


def _quantization(tensor: Any, name: str, shape: tuple[int, ...]) -> Quantization | None:
    table = tensor.Quantization()
    if table is None or table.ScaleLength() == 0:
        return None
    scales = np.array(table.ScaleAsNumpy(), np.float32)
    zero_points = np.zeros(scales.size, np.int64)
    if table.ZeroPointLength():
        given = np.array(table.ZeroPointAsNumpy(), np.int64)
        if given.size not in (1, scales.size):
            raise ModelError(
                f"tensor {name!r} has {scales.size} scales and {given.size} zero points"
            )
        zero_points[:] = given
    axis = table.QuantizedDimension()
    if scales.size > 1 and (not 0 <= axis < len(shape) or shape[axis] != scales.size):
        raise ModelError(
            f"tensor {name!r} of shape {list(shape)} has {scales.size} scales along axis {axis}"
        )
    if not np.all(np.isfinite(scales)) or np.any(scales < 0):
        raise ModelError(f"tensor {name!r} has a negative or infinite scale")
    scales.flags.writeable = zero_points.flags.writeable = False
    return Quantization(scales, zero_points, axis)
