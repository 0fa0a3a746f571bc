"""Compiles a `.tflite` file to another one, in which each segment is one operator.

The custom operator `NPU` takes the segment's inputs and, last, a constant with its commands and
weights (`npu.embedded.payload`). It gives the segment's outputs and, last, an arena: memory that it
needs while it runs, which the interpreter plans like any other tensor.
"""

import json
from dataclasses import dataclass
from typing import Any

from npu.embedded.file_editor import pack, unpack
from npu.embedded.payload import KIND, encode_segment
from npu.errors import CompiledModelError
from npu.model.graph import Graph
from npu.model.schema import COMPILED_OPERATOR, CORRUPTION_ERRORS, schema
from npu.offload.network import CompiledNetwork
from rtl.config import NpuConfig
from sim.program import Program

CONFIG_METADATA = "npu.config"
"""The metadata entry that says for which hardware a file was compiled, as JSON."""
_OPTIONS = (1).to_bytes(4, "little")
"""What the operator's options hold: the version of the operator's interface."""


@dataclass(frozen=True)
class CompiledModel:
    """A compiled file.

    Attributes
    ----------
    file : its bytes. network : what it was compiled from.
    """

    file: bytes
    network: CompiledNetwork

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs of its segments, in execution order."""
        return tuple(self.network.programs.values())


def compile_model(graph: Graph, config: NpuConfig) -> CompiledModel:
    """Compile the file that `graph` was read from.

    Raises
    ------
    CompiledModelError : it is compiled already, or nothing of it runs on the NPU.
    """
    if any(op.kind == KIND for op in graph.operators):
        raise CompiledModelError(
            f"the model has {KIND} operators: it is compiled already; compile the original"
        )
    network = CompiledNetwork(graph, config)
    if not network.programs:
        index, reason = next(iter(network.partition.reasons.items()))
        raise CompiledModelError(
            "no operator of the network runs on the NPU, so there is nothing to compile: operator "
            f"{index} ({graph.operator(index).kind}): {reason}"
        )
    try:
        file = _rewritten(graph, network)
    except CORRUPTION_ERRORS as error:
        raise CompiledModelError(
            f"the model is corrupted in what only its interpreter looks at: {type(error).__name__}"
        ) from None
    return CompiledModel(file, network)


def _rewritten(graph: Graph, network: CompiledNetwork) -> bytes:
    model, data = unpack(graph.file), dict[int, bytes]()
    subgraph = model.subgraphs[0]
    model.operatorCodes.append(_operator_code())
    code = len(model.operatorCodes) - 1
    replaced: dict[int, Any] = {}
    for number, (segment, program) in enumerate(network.programs.items()):
        blob = encode_segment(program)
        carried = _tensor(model, f"npu_segment_{number}", len(blob), _buffer(model, data, blob))
        arena = _tensor(model, f"npu_arena_{number}", max(program.arena_bytes, 1), 0)
        op = schema.OperatorT()
        op.opcodeIndex = code
        op.inputs, op.outputs = [*segment.inputs, carried], [*segment.outputs, arena]
        op.customOptions = list(_OPTIONS)
        replaced |= dict.fromkeys(segment.operators[1:])
        replaced[segment.operators[0]] = op
    known = {op.index for op in graph.operators}
    left = []
    for index, op in enumerate(subgraph.operators):
        if index in known:
            left += [made] if (made := replaced.get(index, op)) is not None else []
            continue
        # the reader has worked out what it computes: that is a constant now
        for output in map(int, op.outputs):
            value = graph.tensors[output].data
            if value is not None and value.size:
                subgraph.tensors[output].buffer = _buffer(model, data, value.tobytes())
    subgraph.operators = left
    _describe(model, data, network.config)
    return pack(model, graph.file, data)


def _operator_code() -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = COMPILED_OPERATOR, 1
    return code


def _buffer(model: Any, data: dict[int, bytes], value: bytes) -> int:
    model.buffers.append(schema.BufferT())
    data[len(model.buffers) - 1] = value
    return len(model.buffers) - 1


def _tensor(model: Any, name: str, size: int, buffer: int) -> int:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, [size], buffer
    tensor.type, tensor.hasRank = schema.TensorType.UINT8, True
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _describe(model: Any, data: dict[int, bytes], config: NpuConfig) -> None:
    entry = schema.MetadataT()
    entry.name = CONFIG_METADATA
    text = json.dumps({"config_id": config.config_id, **config.to_dict()})
    entry.buffer = _buffer(model, data, text.encode())
    model.metadata = [*(model.metadata or []), entry]
