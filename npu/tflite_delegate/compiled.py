"""The operators of a compiled file (`npu.embedded`), which carry their own programs."""

import numpy as np

from npu.embedded.payload import KIND, Operand, decode_segment
from npu.errors import CompiledModelError
from npu.model.graph import ABSENT, Graph, Operator
from npu.tflite_delegate.execution import Hardware
from sim.program import ARENA_TYPES, Program


def compiled_programs(graph: Graph, hardware: Hardware) -> dict[int, Program]:
    """The program of each compiled operator of `graph`, by its index.

    Raises `CompiledModelError` when one does not fit this hardware, or its graph.
    """
    operators = [op for op in graph.operators if op.kind == KIND]
    if operators and hardware.backend == "reference":
        raise CompiledModelError(
            "a compiled file needs hardware: the backend 'reference' has none, take functional, "
            "cycle or rtl"
        )
    return {op.index: _program(graph, op, hardware) for op in operators}


def _program(graph: Graph, op: Operator, hardware: Hardware) -> Program:
    if ABSENT in (*op.inputs, *op.outputs) or len(op.inputs) < 2 or len(op.outputs) < 2:
        raise CompiledModelError(
            f"operator {op.index} ({op.kind}) has {len(op.inputs)} inputs and {len(op.outputs)} "
            "outputs, at least 2 of each expected; the file was edited"
        )
    carried = graph.tensors[op.inputs[-1]]
    if carried.data is None or carried.dtype != np.uint8:
        raise CompiledModelError(
            f"operator {op.index} ({op.kind}): input {carried.name!r} is no uint8 constant; the "
            "file was edited"
        )
    inputs, outputs = (
        [_operand(graph, op, i) for i in indices] for indices in (op.inputs[:-1], op.outputs[:-1])
    )
    return decode_segment(carried.data.tobytes(), hardware.config, inputs, outputs, op.index)


def _operand(graph: Graph, op: Operator, index: int) -> Operand:
    tensor = graph.tensors[index]
    if tensor.type_name not in ARENA_TYPES or tensor.is_constant:
        found = f"{'a constant' if tensor.is_constant else 'computed'} {tensor.type_name}"
        raise CompiledModelError(
            f"operator {op.index} ({op.kind}): tensor {tensor.name!r} is {found}, computed "
            f"{' or '.join(ARENA_TYPES)} expected"
        )
    return Operand(index, tensor.name, tensor.shape, tensor.type_name)
