"""Reads a `.tflite` file into a `Graph`, and refuses what this project cannot run.

The flatbuffer is not trusted: offsets are followed by the generated classes, which raise on most
of what is broken, and everything they return is checked here before it is used as an index or a
size.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from npu.errors import ModelError
from npu.model.folding import fold_constants
from npu.model.graph import Graph, Operator, Quantization, Tensor
from npu.model.graph_checks import (
    PER_CHANNEL,
    check_calls,
    check_int4,
    check_order,
    check_references,
    check_something_to_run,
)
from npu.model.integer_check import check_quantized
from npu.model.open_batch import close_batches
from npu.model.schema import CORRUPTION_ERRORS, OPERATOR_NAMES, schema, text_field
from npu.model.shape_rules import check_shapes
from npu.model.shape_rules.state import check_variables
from npu.model.tflite_options import read_options
from npu.model.tflite_tensors import TensorReader

IDENTIFIER = b"TFL3"
# deeper calls are a loop, or a file that wants to exhaust the reader
MAX_DEPTH = 16
_CUSTOM_CODE_FIELD = 1
_SIGNATURE_KEY_FIELD = 2

log = logging.getLogger(__name__)


def read_model(path: Path | str) -> Graph:
    """Read the `.tflite` file at `path`.

    Raises `ModelError` when the file is missing, is not a whole and consistent `.tflite`, has
    tensors without a stored shape, or is not fully integer. As in TFLM the stored shape counts,
    whatever `shape_signature` says, but for shapes that `npu.model.open_batch` corrects. Unknown
    operators are read: only executing them is refused. Weights of four bits become int8.
    """
    path = Path(path)
    try:
        # a pipe may never end, and is empty when it is read again
        if path.exists() and not path.is_dir() and not path.is_file():
            raise ModelError(f"cannot read model '{path}': it is not a regular file")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read model '{path}': {error.strerror or error}") from None
    except ValueError as error:
        raise ModelError(f"cannot read model {str(path)!r}: {error}") from None
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
        check_quantized(graph)
        for each in graph.with_subgraphs():
            check_shapes(each)
            check_calls(each)
        check_variables(graph)
    except ModelError as error:
        raise ModelError(f"{origin}: {error}") from None
    except CORRUPTION_ERRORS as error:
        raise ModelError(
            f"{origin} is truncated or corrupted ({len(data)} bytes; {type(error).__name__} while "
            "following its offsets)"
        ) from None
    return graph


class _ModelReader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._model = schema.Model.GetRootAs(data, 0)
        self._read: dict[int, Graph] = {}

    def read(self, name: str) -> Graph:
        if self._model.Version() != 3:
            raise ModelError(f"schema version {self._model.Version()}, 3 expected")
        if self._model.SubgraphsLength() < 1:
            raise ModelError("the model holds no subgraph")
        graph = self._graph(0, name, 0)
        self._say_which_signature()
        return graph

    def _say_which_signature(self) -> None:
        """As in TFLM the first subgraph runs, whichever signature names it, if one does."""
        found: dict[int, str] = {}
        for i in range(self._model.SignatureDefsLength()):
            signature = self._model.SignatureDefs(i)
            name = text_field(self._data, signature, _SIGNATURE_KEY_FIELD)
            found.setdefault(signature.SubgraphIndex(), name)
        if len(found) > 1:
            first = found.get(0)
            which = (
                "its first subgraph, which none of them names," if first is None else repr(first)
            )
            log.warning(
                "the model has %d signatures, %s: %s runs",
                len(found),
                ", ".join(map(repr, found.values())),
                which,
            )

    def _graph(self, index: int, name: str, depth: int) -> Graph:
        """Subgraph `index` with all that its operators call."""
        if index in self._read:
            return self._read[index]
        subgraph = self._model.Subgraphs(index)
        operators = tuple(
            self._operator(i, subgraph.Operators(i)) for i in range(subgraph.OperatorsLength())
        )
        inputs = tuple(subgraph.Inputs(i) for i in range(subgraph.InputsLength()))
        outputs = tuple(subgraph.Outputs(i) for i in range(subgraph.OutputsLength()))
        if index == 0:
            check_something_to_run(operators, inputs, outputs)
        called = {i: self._called(op, i, name, depth) for op in operators for i in op.subgraphs}
        used = check_references(operators, inputs, outputs, subgraph.TensorsLength())
        made = {t for op in operators for t in op.outputs}
        reader = TensorReader(self._data, self._model)
        tensors = tuple(
            reader.read(i, subgraph.Tensors(i), used=i in used, given=i in inputs, made=i in made)
            for i in range(subgraph.TensorsLength())
        )
        tensors = _as_tflm_reads(tensors, operators)
        graph = Graph(name, tensors, operators, inputs, outputs, index, called, self._data)
        check_order(graph)
        check_int4(graph, reader.int4)
        self._read[index] = fold_constants(close_batches(graph))
        return self._read[index]

    def _called(self, op: Operator, index: int, name: str, depth: int) -> Graph:
        where, count = f"operator {op.index} ({op.kind})", self._model.SubgraphsLength()
        if not 1 <= index < count:
            raise ModelError(f"{where} calls subgraph {index}, one from 1 to {count - 1} expected")
        if depth == MAX_DEPTH:
            raise ModelError(
                f"{where} calls subgraph {index}: over {depth} calls within each other"
            )
        return self._graph(index, f"{name}.{index}", depth + 1)

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

    def _kind(self, code: Any) -> str:
        # operator codes often end the file: reading a whole one notices that its end is missing
        code.Version()
        # files older than 2020 have the deprecated one only, newer ones need not have it
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if builtin == schema.BuiltinOperator.CUSTOM:
            return f"CUSTOM:{text_field(self._data, code, _CUSTOM_CODE_FIELD)}"
        return OPERATOR_NAMES.get(builtin, f"BUILTIN:{builtin}")


def _as_tflm_reads(
    tensors: tuple[Tensor, ...], operators: tuple[Operator, ...]
) -> tuple[Tensor, ...]:
    """The tensors with one scale each, but for weights and biases: TFLM takes the first one."""
    several = {
        op.inputs[i] for op in operators for i in PER_CHANNEL.get(op.kind, ()) if i < len(op.inputs)
    }
    return tuple(t if t.index in several else _first_scale(t) for t in tensors)


def _first_scale(tensor: Tensor) -> Tensor:
    quantization = tensor.quantization
    if quantization is None or quantization.per_tensor:
        return tensor
    first = Quantization(quantization.scales[:1], quantization.zero_points[:1])
    return replace(tensor, quantization=first)
