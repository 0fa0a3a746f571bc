"""The bytes of a `.tflite` file: tensors, constants and operators of its subgraphs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers
from numpy.typing import ArrayLike, DTypeLike, NDArray

# TFLM reads weights in place through aligned loads; the schema's `force_align: 16` is lost by the
# Python code generator
BUFFER_ALIGNMENT = 16
CUSTOM = "CUSTOM:"


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the model under construction.

    `scales` is float32 of shape (1,) or (channels,), empty for a tensor without quantization.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scales: NDArray[np.float32]
    zero_point: int

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantized tensor."""
        if self.scales.size != 1:
            raise ValueError(f"tensor {self.name} has {self.scales.size} scales, not one")
        return float(self.scales[0])


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (overrides generated code)
        data = self.data.tobytes()
        builder.StartVector(1, len(data), BUFFER_ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


class ModelFile:
    """The main subgraph, filled in execution order; `build` gives the bytes of the file."""

    def __init__(self, description: str = "built for a test") -> None:
        self._description = description
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]
        self._operators: list[Any] = []
        self._codes: dict[tuple[str, int], int] = {}
        self._subgraphs: list[ModelFile] = []
        self._outputs: Sequence[Tensor] = ()
        self._inputs: list[int] = []
        self._handles: list[Tensor] = []
        self._produced: list[int] = []
        self._consumed: set[int] = set()

    # tensors

    def input(
        self,
        shape: Sequence[int],
        *,
        scale: float | None = None,
        zero_point: int = 0,
        dtype: DTypeLike = np.int8,
        name: str = "",
        shape_signature: Sequence[int] | None = None,
    ) -> Tensor:
        """A model input; `shape_signature` with -1 makes the shape dynamic."""
        t = self.tensor(shape, dtype, scale=scale, zero_point=zero_point, name=name)
        self._tensors[t.index].shapeSignature = shape_signature and list(shape_signature)
        self._inputs.append(t.index)
        return t

    def constant(
        self,
        data: NDArray[Any] | np.generic,
        *,
        scale: ArrayLike | None = None,
        zero_point: int = 0,
        quantized_dimension: int = 0,
        name: str = "",
    ) -> Tensor:
        """A constant with the dtype and shape of `data`."""
        data = np.asarray(data)
        t = self.tensor(data.shape, data.dtype, scale=scale, zero_point=zero_point, name=name)
        buffer = _AlignedBuffer()
        buffer.data = np.ascontiguousarray(data)
        self._buffers.append(buffer)
        packed = self._tensors[t.index]
        packed.buffer = len(self._buffers) - 1
        if packed.quantization is not None:
            packed.quantization.quantizedDimension = quantized_dimension
        return t

    def int4_constant(
        self,
        data: NDArray[np.int8],
        *,
        scale: ArrayLike,
        quantized_dimension: int = 0,
        name: str = "",
    ) -> Tensor:
        """A constant of values from -8 to 7, two in a byte, the low half first."""
        nibbles = np.append(data.reshape(-1), [0] * (data.size % 2)).astype(np.uint8) & 15
        packed = self.constant(
            nibbles[::2] | nibbles[1::2] << 4,
            scale=scale,
            quantized_dimension=quantized_dimension,
            name=name,
        )
        tensor = self._tensors[packed.index]
        tensor.type, tensor.shape = schema.TensorType.INT4, list(data.shape)
        return packed

    def variable(
        self, shape: Sequence[int], dtype: DTypeLike, *, scale: float, zero_point: int = 0
    ) -> Tensor:
        """A tensor that keeps its value from one inference to the next."""
        t = self.tensor(shape, dtype, scale=scale, zero_point=zero_point)
        self._tensors[t.index].isVariable = True
        return t

    def handle(self, name: str, container: str = "") -> Tensor:
        """The handle of the variable `name`, by VAR_HANDLE."""
        t = self.tensor((), np.int32)
        self._tensors[t.index].type = schema.TensorType.RESOURCE
        options = {"sharedName": name, "container": container}
        self.operator("VAR_HANDLE", [], [t], options, options_type="VarHandleOptions")
        return t

    def initializer(self) -> "ModelFile":
        """Another subgraph, which a CALL_ONCE here runs; to be filled like this one."""
        called: ModelFile
        called, index = self._other()
        options = {"initSubgraphIndex": index}
        self.operator("CALL_ONCE", [], [], options, options_type="CallOnceOptions")
        return called

    def subgraph(self, fill: Callable[[Any], Sequence[Tensor]]) -> int:
        """The index of another subgraph, which IF and WHILE run.

        `fill` is called with it, and returns its outputs.
        """
        called, index = self._other()
        called._outputs = fill(called)
        return index

    def _other(self) -> tuple[Any, int]:
        called = type(self)()
        called._buffers, called._codes = self._buffers, self._codes
        called._subgraphs = self._subgraphs
        self._subgraphs.append(called)
        return called, len(self._subgraphs)

    def tensor(
        self,
        shape: Sequence[int],
        dtype: DTypeLike = np.int8,
        *,
        scale: ArrayLike | None = None,
        zero_point: int = 0,
        name: str = "",
    ) -> Tensor:
        """A tensor without data, for `operator`; a quantized dtype without scale is allowed."""
        index = len(self._tensors)
        dtype = np.dtype(dtype)
        scales = np.atleast_1d(np.asarray([] if scale is None else scale, np.float32))
        packed = schema.TensorT()
        packed.name = name or f"t{index}"
        packed.shape = [int(n) for n in shape]
        packed.type = getattr(schema.TensorType, dtype.name.upper())
        packed.hasRank = True
        if scales.size:
            packed.quantization = schema.QuantizationParametersT()
            packed.quantization.scale = scales.tolist()
            packed.quantization.zeroPoint = [int(zero_point)] * scales.size
        self._tensors.append(packed)
        handle = Tensor(index, packed.name, tuple(packed.shape), dtype, scales, int(zero_point))
        self._handles.append(handle)
        return handle

    # any operator

    def operator(
        self,
        code: str,
        inputs: Sequence[Tensor | None],
        outputs: Sequence[Tensor],
        options: Mapping[str, Any] | None = None,
        *,
        options_type: str | None = None,
        version: int = 1,
    ) -> None:
        """Append the operator named `code` (`"TRANSPOSE"`), for what has no method here.

        `None` among the inputs is an omitted optional input. `options` are the fields of the
        options table named `options_type` (`"TransposeOptions"`), or of a custom operator
        (`"CUSTOM:SignalDelay"`), whose options have no table.
        """
        op = schema.OperatorT()
        op.opcodeIndex = self._codes.setdefault((code, version), len(self._codes))
        op.inputs = [-1 if t is None else t.index for t in inputs]
        op.outputs = [t.index for t in outputs]
        if options_type is not None:
            op.builtinOptionsType = getattr(schema.BuiltinOptions, options_type)
            op.builtinOptions = getattr(schema, options_type + "T")()
            for field, value in (options or {}).items():
                if not hasattr(op.builtinOptions, field):
                    raise ValueError(f"{options_type} has no field {field!r}")
                setattr(op.builtinOptions, field, value)
        elif code.startswith(CUSTOM) and options:
            op.customOptions = flexbuffers.Dumps(options)
        self._operators.append(op)
        self._consumed.update(op.inputs)
        self._produced.extend(op.outputs)

    # the file

    def build(self, outputs: Sequence[Tensor] | None = None) -> bytes:
        """The model; its outputs default to what no operator consumes, in order of creation."""
        if outputs is None:
            outputs = [self._handles[i] for i in self._produced if i not in self._consumed]
        called = [each._packed("called", each._outputs) for each in self._subgraphs]
        model = schema.ModelT()
        model.version = 3
        model.description = self._description
        model.operatorCodes = [_operator_code(*key) for key in self._codes]
        model.subgraphs = [self._packed("main", outputs), *called]
        model.buffers = self._buffers
        builder = flatbuffers.Builder(1 << 12)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _packed(self, name: str, outputs: Sequence[Tensor]) -> Any:
        subgraph = schema.SubGraphT()
        subgraph.name = name
        subgraph.tensors = self._tensors
        subgraph.operators = self._operators
        subgraph.inputs = self._inputs
        subgraph.outputs = [t.index for t in outputs]
        return subgraph


def _operator_code(code: str, version: int) -> Any:
    packed = schema.OperatorCodeT()
    builtin = code
    if code.startswith(CUSTOM):
        builtin, packed.customCode = "CUSTOM", code.removeprefix(CUSTOM)
    packed.builtinCode = getattr(schema.BuiltinOperator, builtin)
    # readers older than 2020 know this one-byte field only
    packed.deprecatedBuiltinCode = min(packed.builtinCode, 127)
    packed.version = version
    return packed
