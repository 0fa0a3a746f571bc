"""Checks that the shapes written in a model are those its operators produce.

TFLM trusts a file's shapes; kernels here index arrays by them without bounds checks, so a file
that contradicts itself is refused before anything runs. One function per operator kind; kinds
without one are only refused when something has to execute them.
"""

from npu.model.graph import Graph, Operator
from npu.model.shape_rules import elementwise, indexing, movement, state, weights
from npu.model.shape_rules.common import (
    Rule,
    Shape,
    constant_operand,
    operator_error,
    same_shape,
)
from npu.model.shape_rules.elementwise import reduced_axes
from npu.model.shape_rules.movement import operator_slices
from npu.model.shape_rules.types import check_types
from npu.model.tflm_only import PARAMETERS, only_tflm

__all__ = [
    "OPERANDS",
    "check_shapes",
    "constant_operand",
    "operator_slices",
    "output_shapes",
    "reduced_axes",
]


def check_shapes(graph: Graph) -> None:
    """Refuse a graph in which an operator of a known kind does not produce its outputs' shapes.

    Also checks what the shapes rest on: the number of operands, their ranks, the types of weights
    and biases, and the values of constant operands such as paddings.

    Raises `ModelError`, naming the operator.
    """
    for op in graph.operators:
        if op.kind not in _RULES:
            continue
        _check_operands(op)
        check_types(graph, op)
        _check_not_empty(graph, op)
        if only_tflm(graph, op):
            # nothing here executes it, and TFLM takes the shapes as they are stored
            continue
        shapes = output_shapes(graph, op)
        given = [graph.tensors[i].shape for i in op.outputs]
        if len(given) != len(shapes):
            raise operator_error(op, f"{len(given)} outputs, its inputs make {len(shapes)}")
        for one, expected in zip(given, shapes, strict=True):
            if one != expected:
                raise operator_error(
                    op, f"the output has shape {list(one)}, its inputs make {list(expected)}"
                )


def output_shapes(graph: Graph, op: Operator) -> list[Shape]:
    """The shapes that an operator of a known kind gives its outputs, by those of its inputs.

    RESHAPE and its like have what their output says. Raises `ModelError` where the inputs do not
    fit together.
    """
    result = _RULES[op.kind](graph, op)
    return result if isinstance(result, list) else [result]


def _check_not_empty(graph: Graph, op: Operator) -> None:
    """Only what is joined, and lists of axes or extents, may hold nothing."""
    parameters = PARAMETERS.get(op.kind, ())
    if op.kind in MAY_BE_EMPTY:
        return
    for position in range(len(op.inputs)):
        tensor = graph.input_tensor(op, position)
        if tensor is not None and not tensor.size and position not in parameters:
            raise operator_error(op, f"input {tensor.name!r} of {list(tensor.shape)} is empty")


def _check_operands(op: Operator) -> None:
    low, high = OPERANDS[op.kind]
    fewest, most = OUTPUTS.get(op.kind, (1, 1))
    if not (low <= len(op.inputs) <= high and fewest <= len(op.outputs) <= most):
        outputs = {0: "no output", 1: "1 output"}.get(most, "1 or more outputs")
        raise operator_error(
            op,
            f"{len(op.inputs)} inputs and {len(op.outputs)} outputs, {low} to {high} inputs "
            f"and {outputs} expected",
        )
    if op.kind not in NAMED_INPUTS and any(i < 0 for i in op.inputs[:low]):
        raise operator_error(op, "a required input is left out")


_MANY = 1 << 16

_TWO_OPERANDS = (
    *("DIV", "SQUARED_DIFFERENCE", "FLOOR_DIV", "FLOOR_MOD"),
    *("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"),
    *("LOGICAL_AND", "LOGICAL_OR"),
)
"""Kinds of two operands that broadcast, and nothing else to check."""
_ONE_OPERAND = (
    *("RSQRT", "SQRT", "SQUARE", "NEG", "FLOOR", "CEIL", "ROUND", "SIN", "COS", "EXP", "LOG"),
    *("LOGICAL_NOT", "ZEROS_LIKE"),
)
"""Kinds of one operand that keep its shape."""

OUTPUTS = {
    **dict.fromkeys(("SPLIT", "SPLIT_V", "UNPACK"), (1, _MANY)),
    **dict.fromkeys(("ASSIGN_VARIABLE", "CALL_ONCE"), (0, 0)),
}
"""The least and greatest number of outputs of each kind where it is not 1."""

MAY_BE_EMPTY = frozenset({"CONCATENATION", "RESHAPE", "BROADCAST_ARGS", "FILL"})
"""Kinds with operands that may be empty beside `PARAMETERS`."""

NAMED_INPUTS = frozenset({"UNIDIRECTIONAL_SEQUENCE_LSTM"})
"""Kinds whose rule says itself which inputs may be left out."""

OPERANDS: dict[str, tuple[int, int]] = {
    "CONV_2D": (2, 3),
    "DEPTHWISE_CONV_2D": (2, 3),
    "FULLY_CONNECTED": (2, 3),
    "TRANSPOSE_CONV": (3, 4),
    "BATCH_MATMUL": (2, 2),
    "SVDF": (5, 5),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (24, 24),
    "VAR_HANDLE": (0, 0),
    "READ_VARIABLE": (1, 1),
    "ASSIGN_VARIABLE": (2, 2),
    "CALL_ONCE": (0, 0),
    "AVERAGE_POOL_2D": (1, 1),
    "MAX_POOL_2D": (1, 1),
    "ADD": (2, 2),
    "SUB": (2, 2),
    "MUL": (2, 2),
    "MAXIMUM": (2, 2),
    "MINIMUM": (2, 2),
    "PRELU": (2, 2),
    **dict.fromkeys(_TWO_OPERANDS, (2, 2)),
    **dict.fromkeys(_ONE_OPERAND, (1, 1)),
    "ADD_N": (2, _MANY),
    "SELECT_V2": (3, 3),
    "CUMSUM": (2, 2),
    "REVERSE_V2": (2, 2),
    "GATHER_ND": (2, 2),
    "EMBEDDING_LOOKUP": (2, 2),
    "DYNAMIC_UPDATE_SLICE": (3, 3),
    "SPACE_TO_BATCH_ND": (3, 3),
    "BATCH_TO_SPACE_ND": (3, 3),
    "FILL": (2, 2),
    "BROADCAST_ARGS": (2, 2),
    "MEAN": (2, 2),
    "SUM": (2, 2),
    "REDUCE_MAX": (2, 2),
    "REDUCE_MIN": (2, 2),
    "ARG_MAX": (2, 2),
    "ARG_MIN": (2, 2),
    "SOFTMAX": (1, 1),
    "LOG_SOFTMAX": (1, 1),
    "L2_NORMALIZATION": (1, 1),
    "QUANTIZE": (1, 1),
    "DEQUANTIZE": (1, 1),
    "CAST": (1, 1),
    "ABS": (1, 1),
    "ELU": (1, 1),
    "HARD_SWISH": (1, 1),
    "LEAKY_RELU": (1, 1),
    "LOGISTIC": (1, 1),
    "RELU": (1, 1),
    "RELU6": (1, 1),
    "TANH": (1, 1),
    "PAD": (2, 2),
    "PADV2": (3, 3),
    "MIRROR_PAD": (2, 2),
    "SHAPE": (1, 1),
    "RANK": (1, 1),
    "RESHAPE": (1, 2),
    "SQUEEZE": (1, 1),
    "EXPAND_DIMS": (2, 2),
    "TRANSPOSE": (2, 2),
    "CONCATENATION": (1, _MANY),
    "SPLIT": (2, 2),
    "SPLIT_V": (3, 3),
    "PACK": (1, _MANY),
    "UNPACK": (1, 1),
    "STRIDED_SLICE": (4, 4),
    "SLICE": (3, 3),
    "GATHER": (2, 2),
    "BROADCAST_TO": (2, 2),
    "RESIZE_NEAREST_NEIGHBOR": (2, 2),
    "RESIZE_BILINEAR": (2, 2),
    "SPACE_TO_DEPTH": (1, 1),
    "DEPTH_TO_SPACE": (1, 1),
}
"""The least and greatest number of inputs of each kind."""

_RULES: dict[str, Rule] = {
    "CONV_2D": weights.conv_2d,
    "DEPTHWISE_CONV_2D": weights.depthwise_conv_2d,
    "FULLY_CONNECTED": weights.fully_connected,
    "TRANSPOSE_CONV": weights.transpose_conv,
    "BATCH_MATMUL": weights.batch_matmul,
    "SVDF": weights.svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": state.lstm,
    "VAR_HANDLE": state.var_handle,
    "READ_VARIABLE": state.read_variable,
    "ASSIGN_VARIABLE": state.assign_variable,
    "CALL_ONCE": state.nothing,
    "AVERAGE_POOL_2D": weights.pool_2d,
    "MAX_POOL_2D": weights.pool_2d,
    "ADD": elementwise.elementwise,
    "SUB": elementwise.elementwise,
    "MUL": elementwise.elementwise,
    "MAXIMUM": elementwise.elementwise,
    "MINIMUM": elementwise.elementwise,
    "PRELU": elementwise.prelu,
    **dict.fromkeys(_TWO_OPERANDS, elementwise.elementwise),
    **dict.fromkeys(_ONE_OPERAND, same_shape),
    "ADD_N": elementwise.add_n,
    "SELECT_V2": elementwise.select,
    "CUMSUM": indexing.cumsum,
    "REVERSE_V2": indexing.reverse,
    "GATHER_ND": indexing.gather_nd,
    "EMBEDDING_LOOKUP": indexing.embedding_lookup,
    "DYNAMIC_UPDATE_SLICE": indexing.dynamic_update_slice,
    "SPACE_TO_BATCH_ND": indexing.space_to_batch,
    "BATCH_TO_SPACE_ND": indexing.batch_to_space,
    "FILL": indexing.fill,
    "BROADCAST_ARGS": indexing.broadcast_args,
    "MEAN": elementwise.reduction,
    "SUM": elementwise.reduction,
    "REDUCE_MAX": elementwise.reduction,
    "REDUCE_MIN": elementwise.reduction,
    "ARG_MAX": elementwise.arg_max,
    "ARG_MIN": elementwise.arg_max,
    "SOFTMAX": elementwise.softmax,
    "LOG_SOFTMAX": elementwise.softmax,
    "L2_NORMALIZATION": elementwise.softmax,
    "QUANTIZE": same_shape,
    "DEQUANTIZE": same_shape,
    "CAST": same_shape,
    "ABS": same_shape,
    "ELU": same_shape,
    "HARD_SWISH": same_shape,
    "LEAKY_RELU": same_shape,
    "LOGISTIC": same_shape,
    "RELU": same_shape,
    "RELU6": same_shape,
    "TANH": same_shape,
    "PAD": movement.pad,
    "PADV2": movement.pad,
    "MIRROR_PAD": movement.pad,
    "SHAPE": movement.shape_of,
    "RANK": movement.rank_of,
    "RESHAPE": movement.same_size,
    "SQUEEZE": movement.same_size,
    "EXPAND_DIMS": movement.same_size,
    "TRANSPOSE": movement.transpose,
    "CONCATENATION": movement.concatenation,
    "SPLIT": movement.split,
    "SPLIT_V": movement.split_v,
    "PACK": movement.pack,
    "UNPACK": movement.unpack,
    "STRIDED_SLICE": movement.sliced,
    "SLICE": movement.sliced,
    "GATHER": movement.gather,
    "BROADCAST_TO": movement.broadcast_to,
    "RESIZE_NEAREST_NEIGHBOR": movement.resize,
    "RESIZE_BILINEAR": movement.resize,
    "SPACE_TO_DEPTH": movement.space_to_depth,
    "DEPTH_TO_SPACE": movement.depth_to_space,
}
