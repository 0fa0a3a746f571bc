"""The weights of a network that can be pruned and clustered, in one form for all operators.

In that form, weights are `[outputs, taps, inputs]`: the order in which the grid reduces them. A
kernel of a CONV_2D is `[outputs, kh, kw, inputs]` in the file; FULLY_CONNECTED has one tap.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import Graph, Operator

KINDS = ("CONV_2D", "FULLY_CONNECTED")
"""Operators whose weights are words of the grid's reduction; of the rest, `skipped` tells."""

OTHER_KINDS = ("DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL", "SVDF")
"""Operators with weights that stay as they are."""

INT8_LIMIT = 127
"""Of codes of weights: TFLite leaves -128 out."""


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """The weights of one operator.

    Attributes
    ----------
    operator : its index in the file.
    kind : its name.
    tensor : the tensor of the weights.
    codes : int8 `[outputs, taps, inputs]`; the real weight is `codes * scales`.
    scales : float32 `[outputs]`, equal ones where the file has one for the tensor.
    shape : of the tensor in the file.
    """

    operator: int
    kind: str
    tensor: int
    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    shape: tuple[int, ...]

    @property
    def real(self) -> NDArray[np.float32]:
        """The weights that the codes stand for, float32 `[outputs, taps, inputs]`."""
        weights: NDArray[np.float32] = self.codes.astype(np.float32) * self.scales[:, None, None]
        return weights

    def with_codes(self, codes: NDArray[np.int8]) -> "LayerWeights":
        """The same layer with other codes of the same form."""
        return replace(self, codes=np.ascontiguousarray(codes, np.int8).reshape(self.codes.shape))


def find_weights(graph: Graph) -> list[LayerWeights]:
    """The weights of all operators of `KINDS` with constant int8 weights, in execution order.

    A tensor that several operators share is listed once, with the first of them.
    """
    found: dict[int, LayerWeights] = {}
    for op in graph.operators:
        layer = _weights(graph, op) if op.kind in KINDS else None
        if layer is not None:
            found.setdefault(layer.tensor, layer)
    return list(found.values())


def skipped(graph: Graph) -> list[str]:
    """The operators whose weights are left alone, as `DEPTHWISE_CONV_2D 3`."""
    taken = {layer.operator for layer in find_weights(graph)}
    shared = {layer.tensor for layer in find_weights(graph)}
    return [
        f"{op.kind} {op.index}"
        for op in graph.operators
        if op.kind in (*KINDS, *OTHER_KINDS)
        and op.index not in taken
        and not (len(op.inputs) > 1 and op.inputs[1] in shared)
    ]


def _weights(graph: Graph, op: Operator) -> LayerWeights | None:
    tensor = graph.input_tensor(op, 1)
    if tensor is None or tensor.data is None or tensor.quantization is None:
        return None
    if tensor.data.dtype != np.int8 or np.any(tensor.quantization.zero_points):
        return None
    outputs, inputs = tensor.shape[0], tensor.shape[-1]
    scales = np.broadcast_to(tensor.quantization.scales, (outputs,)).astype(np.float32)
    codes = tensor.data.reshape(outputs, -1, inputs)
    return LayerWeights(op.index, op.kind, tensor.index, codes, scales, tensor.shape)
