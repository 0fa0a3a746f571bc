"""Reads the tensors and constants of a `.tflite` file."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.int4 import unpack_int4
from npu.errors import ModelError
from npu.model.graph import RESOURCE, Quantization, Tensor
from npu.model.schema import TYPE_NAMES, schema, text_field

# TFLite's own limit for a file; also keeps a corrupted shape from asking for all memory
MAX_TENSOR_BYTES = 1 << 31

_NAME_FIELD = 3
_NUMPY_TYPES: dict[int, np.dtype[Any]] = {
    code: np.dtype(name.lower())
    for code, name in TYPE_NAMES.items()
    if name.removeprefix("U") in {"INT8", "INT16", "INT32", "INT64"}
    or name in {"BOOL", "FLOAT16", "FLOAT32", "FLOAT64", "COMPLEX64", "COMPLEX128"}
}
_NUMPY_TYPES[schema.TensorType.RESOURCE] = RESOURCE


class TensorReader:
    """The tensors of the file `data`, whose root is `model`.

    `int4` collects the indices of those that were stored in four bits.
    """

    def __init__(self, data: bytes, model: Any) -> None:
        self._data = data
        self._model = model
        self.int4: set[int] = set()

    def read(
        self, index: int, tensor: Any, *, used: bool, given: bool = False, made: bool = False
    ) -> Tensor:
        """The flatbuffer `tensor`, number `index` of its subgraph.

        As in TFLM, `shape_signature` and what a buffer holds beyond the tensor are ignored, and a
        tensor is not looked at unless it is `used`: something reads or writes it. Its value comes
        from outside if it is `given`, or is `made` by an operator: an empty tensor without either
        is a constant, and with one an error.

        Raises `ModelError` when it is none that this project can hold.
        """
        name = text_field(self._data, tensor, _NAME_FIELD) or f"tensor{index}"
        type_code = tensor.Type()
        if not used:
            return Tensor(index, name, (), _NUMPY_TYPES.get(type_code, RESOURCE))
        if type_code == schema.TensorType.INT4:
            return self._int4_tensor(index, tensor, name)
        if type_code not in _NUMPY_TYPES:
            found = TYPE_NAMES.get(type_code, f"of unknown type {type_code}")
            raise ModelError(f"the model is not fully integer: tensor {name!r} is {found}")
        if tensor.Sparsity() is not None:
            raise ModelError(f"tensor {name!r} is stored sparse, dense tensors expected")
        dtype = _NUMPY_TYPES[type_code]
        shape = _static_shape(tensor, name)
        size = prod(shape) * dtype.itemsize
        if size > MAX_TENSOR_BYTES:
            raise ModelError(
                f"tensor {name!r} of shape {list(shape)} takes {size} bytes, over 2 GiB"
            )
        data = self._buffer(tensor.Buffer(), name)
        is_variable = bool(tensor.IsVariable())
        if data is not None and (given or is_variable):
            # as in TFLM what is stored is overwritten, from outside or with zeros
            self._check_own_buffer(tensor.Buffer(), name)
            data = None
        if dtype == RESOURCE:
            data = None
        if size == 0 and dtype != RESOURCE:
            if given or made:
                raise ModelError(f"tensor {name!r} of shape {list(shape)} is empty")
            data = b""
        value: NDArray[Any] | None = None
        if data is not None:
            if len(data) < size:
                raise ModelError(
                    f"tensor {name!r} of shape {list(shape)} and type {dtype.name} needs {size} "
                    f"bytes, its buffer has {len(data)}"
                )
            # a copy, because a view into the file would be unaligned
            value = np.frombuffer(data[:size], dtype).reshape(shape).copy()
            value.flags.writeable = False
        return Tensor(index, name, shape, dtype, _quantization(tensor, name), value, is_variable)

    def _int4_tensor(self, index: int, tensor: Any, name: str) -> Tensor:
        data = self._buffer(tensor.Buffer(), name)
        if data is None or tensor.Sparsity() is not None:
            raise ModelError(f"the model is not fully integer: tensor {name!r} is INT4")
        shape = _static_shape(tensor, name)
        try:
            value = unpack_int4(
                np.frombuffer(data[: (prod(shape) + 1) // 2], np.uint8), prod(shape)
            ).reshape(shape)
        except ValueError as error:
            raise ModelError(
                f"tensor {name!r} of shape {list(shape)} and type int4: {error}"
            ) from None
        value.flags.writeable = False
        self.int4.add(index)
        return Tensor(index, name, shape, value.dtype, _quantization(tensor, name), value)

    def _check_own_buffer(self, index: int, name: str) -> None:
        """Refuse a buffer that is overwritten and holds the value of another tensor, too."""
        graphs = [self._model.Subgraphs(i) for i in range(self._model.SubgraphsLength())]
        users = sum(
            graph.Tensors(i).Buffer() == index
            for graph in graphs
            for i in range(graph.TensorsLength())
        )
        if users > 1:
            raise ModelError(
                f"tensor {name!r} is overwritten, but shares its buffer {index} with {users - 1} "
                "others"
            )

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


def _static_shape(tensor: Any, name: str) -> tuple[int, ...]:
    # without a shape, with or without `has_rank`, it is a scalar to TFLM
    shape = tuple(tensor.Shape(i) for i in range(tensor.ShapeLength()))
    if any(n < 0 for n in shape):
        raise ModelError(
            f"tensor {name!r} has the dynamic shape {list(shape)}, static shapes expected: convert "
            "the model with an input signature of fixed shape"
        )
    return shape


def _quantization(tensor: Any, name: str) -> Quantization | None:
    table = tensor.Quantization()
    # TFLM knows no scale without a zero point
    if table is None or table.ScaleLength() == 0 or table.ZeroPointLength() == 0:
        return None
    scales = np.array(table.ScaleAsNumpy(), np.float32)
    zero_points = np.zeros(scales.size, np.int64)
    given = np.array(table.ZeroPointAsNumpy(), np.int64)
    if given.size not in (1, scales.size):
        raise ModelError(f"tensor {name!r} has {scales.size} scales and {given.size} zero points")
    zero_points[:] = given
    if not np.all(np.isfinite(scales)) or np.any(scales < 0):
        raise ModelError(f"tensor {name!r} has a negative or infinite scale")
    scales.flags.writeable = zero_points.flags.writeable = False
    return Quantization(scales, zero_points, table.QuantizedDimension())
