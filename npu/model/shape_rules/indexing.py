"""Output shapes of operators that pick, put or repeat values by position.

Where a shape rests on an operand that is computed when the network runs, the shape that the file
says counts, as in TFLM; the kernel then checks that the values make it.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import Graph, Operator, Tensor
from npu.model.shape_rules.common import Shape, input_tensor, operator_error

INDEX_TYPES = "int32", "int64"


def reverse(graph: Graph, op: Operator) -> Shape:
    """REVERSE_V2: axes of one dimension."""
    _indices(graph, op, 1, 1)
    return input_tensor(graph, op, 0).shape


def cumsum(graph: Graph, op: Operator) -> Shape:
    """CUMSUM: one axis."""
    axis, shape = _indices(graph, op, 1), input_tensor(graph, op, 0).shape
    if axis.size != 1 or not shape:
        raise operator_error(op, f"{axis.size} axes of {list(shape)}, one of 1 or more expected")
    if axis.data is not None and not -len(shape) <= int(axis.data.item()) < len(shape):
        raise operator_error(
            op, f"axis is {axis.data.item()}, one from {-len(shape)} to {len(shape) - 1} expected"
        )
    return shape


def gather_nd(graph: Graph, op: Operator) -> Shape:
    """GATHER_ND."""
    shape, indices = input_tensor(graph, op, 0).shape, _indices(graph, op, 1).shape
    if not indices or not 1 <= indices[-1] <= len(shape):
        raise operator_error(op, f"indices of shape {list(indices)} into {list(shape)}")
    return (*indices[:-1], *shape[indices[-1] :])


def embedding_lookup(graph: Graph, op: Operator) -> Shape:
    """EMBEDDING_LOOKUP."""
    indices, table = _indices(graph, op, 0, 1), input_tensor(graph, op, 1)
    if len(table.shape) < 2:
        raise operator_error(
            op, f"table {table.name!r} has shape {list(table.shape)}, rows expected"
        )
    return (indices.size, *table.shape[1:])


def dynamic_update_slice(graph: Graph, op: Operator) -> Shape:
    """DYNAMIC_UPDATE_SLICE."""
    shape, update = input_tensor(graph, op, 0).shape, input_tensor(graph, op, 1).shape
    start = _indices(graph, op, 2, 1)
    fits = len(update) == len(shape) and all(n <= m for n, m in zip(update, shape, strict=True))
    if not fits or start.size != len(shape):
        raise operator_error(
            op, f"an update of {list(update)} at {start.size} numbers for {list(shape)}"
        )
    return shape


def space_to_batch(graph: Graph, op: Operator) -> Shape:
    """SPACE_TO_BATCH_ND."""
    x, found = _block_and_pairs(graph, op)
    if found is None:
        return graph.output_tensor(op).shape
    block, paddings = found
    sizes = [n + b + a for n, (b, a) in zip(x.shape[1:-1], paddings, strict=True)]
    if any(size % step for size, step in zip(sizes, block, strict=True)):
        raise operator_error(op, f"padded to {sizes}, which blocks of {block} do not divide")
    inner = [size // step for size, step in zip(sizes, block, strict=True)]
    return _checked(graph, op, (x.shape[0] * prod(block), *inner, x.shape[-1]))


def batch_to_space(graph: Graph, op: Operator) -> Shape:
    """BATCH_TO_SPACE_ND."""
    x, found = _block_and_pairs(graph, op)
    if found is None:
        return graph.output_tensor(op).shape
    block, crops = found
    sizes = [n * step - b - a for n, step, (b, a) in zip(x.shape[1:-1], block, crops, strict=True)]
    if x.shape[0] % prod(block) or min(sizes) < 1:
        raise operator_error(op, f"{list(x.shape)} in blocks of {block}, cropped by {crops}")
    return (x.shape[0] // prod(block), *sizes, x.shape[-1])


def _checked(graph: Graph, op: Operator, shape: Shape) -> Shape:
    """`shape`, with the reason why a file may say otherwise.

    With an open batch the converter stores 1 for whatever it becomes; TFLM then leaves out all
    phases but one, and the operators behind read memory that nothing wrote.
    """
    given = graph.output_tensor(op).shape
    if given[1:] == shape[1:] and given[0] < shape[0]:
        raise operator_error(
            op,
            f"{shape[0]} maps are stored as {given[0]}, of which TFLM would compute {given[0]} and "
            "take the others from unwritten memory: the batch was left open when the model was "
            "converted; convert it with a fixed batch",
        )
    return shape


def fill(graph: Graph, op: Operator) -> Shape:
    """FILL: a scalar in the shape of input 0."""
    dimensions, value = _indices(graph, op, 0, 1), input_tensor(graph, op, 1)
    if value.shape:
        raise operator_error(
            op, f"value {value.name!r} has shape {list(value.shape)}, a scalar expected"
        )
    return _stated(graph, op, dimensions)


def broadcast_args(graph: Graph, op: Operator) -> Shape:
    """BROADCAST_ARGS: the shape that two shapes broadcast to."""
    return (max(_indices(graph, op, 0, 1).size, _indices(graph, op, 1, 1).size),)


def _stated(graph: Graph, op: Operator, dimensions: Tensor) -> Shape:
    if dimensions.data is None:
        return graph.output_tensor(op).shape
    return tuple(int(n) for n in dimensions.data)


def _indices(graph: Graph, op: Operator, position: int, rank: int | None = None) -> Tensor:
    tensor = input_tensor(graph, op, position, rank)
    if tensor.type_name not in INDEX_TYPES:
        raise operator_error(
            op, f"input {tensor.name!r} is {tensor.type_name}, {' or '.join(INDEX_TYPES)} expected"
        )
    return tensor


def _block_and_pairs(
    graph: Graph, op: Operator
) -> tuple[Tensor, tuple[list[int], list[list[int]]] | None]:
    """The map, and its block with the paddings or crops; None where these are computed."""
    x, block, pairs = (input_tensor(graph, op, i) for i in range(3))
    inner = len(x.shape) - 2
    _indices(graph, op, 1, 1)
    _indices(graph, op, 2, 2)
    if inner not in (1, 2) or block.shape != (inner,) or pairs.shape != (inner, 2):
        raise operator_error(
            op,
            f"an input of shape {list(x.shape)} with blocks of shape {list(block.shape)} and pairs "
            f"of shape {list(pairs.shape)}: rank 3 or 4, and one of each inner dimension expected",
        )
    if block.data is None or pairs.data is None:
        return x, None
    if np.any(block.data < 1) or np.any(pairs.data < 0):
        raise operator_error(op, f"blocks of {_listed(block.data)} and pairs {_listed(pairs.data)}")
    return x, (_listed(block.data), _listed(pairs.data))


def _listed(array: NDArray[Any]) -> list[Any]:
    listed: list[Any] = array.tolist()
    return listed
