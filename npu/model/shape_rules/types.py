"""Which operands of an operator have one element type."""

from npu.model.graph import Graph, Operator
from npu.model.shape_rules.common import operator_error

EVERY_INPUT = ("CONCATENATION", "PACK")
SAME_TYPE: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "BROADCAST_TO"), (0,)),
    **dict.fromkeys(("SLICE", "STRIDED_SLICE", "GATHER", "UNPACK", "SPLIT_V", "PAD"), (0,)),
    **dict.fromkeys(("MIRROR_PAD", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE"), (0,)),
    **dict.fromkeys(("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"), (0,)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), (0,)),
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU", "BATCH_MATMUL"), (0, 1)),
    "PADV2": (0, 2),
    "SPLIT": (1,),
}
"""The positions of the inputs that have the type of every output."""


def check_types(graph: Graph, op: Operator) -> None:
    """Refuse an operator that mixes element types where it computes with one.

    Raises `ModelError`, naming the operator.
    """
    positions = SAME_TYPE.get(op.kind, ())
    if op.kind in EVERY_INPUT:
        positions = tuple(range(len(op.inputs)))
    if not positions:
        return
    tensors = [graph.input_tensor(op, i) for i in positions]
    tensors += [graph.tensors[i] for i in op.outputs]
    types = dict.fromkeys(t.type_name for t in tensors if t is not None)
    if len(types) > 1:
        raise operator_error(op, f"inputs and outputs are {' and '.join(types)}, one type expected")
