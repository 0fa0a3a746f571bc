"""One operator of a model as a model of its own, for TFLM to execute."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npu.errors import ModelError
from npu.model.file_writer import AlignedBuffer, pack_model
from npu.model.graph import ABSENT, Graph, Operator
from npu.model.schema import CORRUPTION_ERRORS, schema


@dataclass(frozen=True)
class CutOut:
    """A model of one operator.

    Attributes
    ----------
    model : the bytes of the file.
    inputs : the tensors of the graph that are its inputs, in order: what the operator computes
        with, but for constants and for what it keeps from one inference to the next.
    outputs : those that are its outputs, in order.
    """

    model: bytes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def cut_out(graph: Graph, op: Operator) -> CutOut:
    """The operator `op` of `graph` alone, with its options, its constants and its quantization.

    The graph must know the file that it was read from.

    Raises `ModelError` when the file is corrupted in what only TFLM looks at.
    """
    try:
        return _cut_out(graph, op)
    except CORRUPTION_ERRORS as error:
        raise ModelError(
            f"operator {op.index} ({op.kind}) is corrupted: {type(error).__name__} while following "
            "its offsets"
        ) from None


def _cut_out(graph: Graph, op: Operator) -> CutOut:
    model = schema.Model.GetRootAs(graph.file, 0)
    subgraph = model.Subgraphs(graph.subgraph)
    node = schema.OperatorT.InitFromObj(subgraph.Operators(op.index))
    code = schema.OperatorCodeT.InitFromObj(model.OperatorCodes(node.opcodeIndex))
    used = [i for i in (*op.inputs, *op.outputs, *_listed(node.intermediates)) if i != ABSENT]
    places = {index: place for place, index in enumerate(dict.fromkeys(used))}
    buffers: list[Any] = [schema.BufferT()]
    tensors = []
    for index in places:
        tensor = schema.TensorT.InitFromObj(subgraph.Tensors(index))
        data = _data(graph, model, index, tensor.buffer)
        tensor.buffer, tensor.shapeSignature = 0, None
        if data is not None:
            tensor.buffer = len(buffers)
            buffers.append(AlignedBuffer(data))
        tensors.append(tensor)
    given = [i for i in dict.fromkeys(op.present_inputs) if _is_given(graph, i)]

    def placed(indices: Any) -> list[int]:
        return [ABSENT if i == ABSENT else places[i] for i in indices]

    node.opcodeIndex = 0
    node.inputs, node.outputs = placed(op.inputs), placed(op.outputs)
    node.intermediates = placed(_listed(node.intermediates)) or None
    alone = schema.SubGraphT()
    alone.name, alone.tensors, alone.operators = "main", tensors, [node]
    alone.inputs, alone.outputs = placed(given), placed(op.outputs)
    packed = schema.ModelT()
    packed.version, packed.description = 3, f"operator {op.index} of {graph.name}"
    packed.operatorCodes, packed.subgraphs, packed.buffers = [code], [alone], buffers
    return CutOut(pack_model(packed), tuple(given), op.outputs)


def _is_given(graph: Graph, index: int) -> bool:
    return not graph.tensors[index].is_constant and not graph.tensors[index].is_variable


def _listed(indices: Any) -> list[int]:
    return [] if indices is None else [int(i) for i in indices]


def _data(graph: Graph, model: Any, index: int, buffer: int) -> bytes | None:
    """What the file holds of a tensor, or what the reader has worked out."""
    stored = model.Buffers(buffer)
    if stored.Offset() > 1:
        return graph.file[stored.Offset() : stored.Offset() + stored.Size()]
    if stored.DataLength():
        return bytes(stored.DataAsNumpy())
    value = graph.tensors[index].data
    return None if value is None else np.ascontiguousarray(value).tobytes()
