"""Ready `.tflite` files whose weights are clustered or pruned, nothing retrained."""

from collections.abc import Callable, Iterator

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

Weights = NDArray[np.int8]
Change = Callable[[Weights], Weights]
"""From weights `[outputs, kh, kw, inputs]`, or `[outputs, inputs]`, to others."""


def _weights(raw: bytearray) -> Iterator[Weights]:
    """The int8 weights of all CONV_2D and FULLY_CONNECTED in order; views into the file's bytes."""
    model = schema.Model.GetRootAs(raw)
    graph = model.Subgraphs(0)
    seen: set[int] = set()
    for i in range(graph.OperatorsLength()):
        operator = graph.Operators(i)
        code = model.OperatorCodes(operator.OpcodeIndex())
        kind = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if kind not in (
            schema.BuiltinOperator.CONV_2D,
            schema.BuiltinOperator.FULLY_CONNECTED,
        ):
            continue
        tensor = graph.Tensors(operator.Inputs(1))
        data = model.Buffers(tensor.Buffer()).DataAsNumpy()
        if tensor.Type() == schema.TensorType.INT8 and tensor.Buffer() not in seen:
            seen.add(tensor.Buffer())
            yield data.view(np.int8).reshape(tensor.ShapeAsNumpy())


def changed(model: bytes, change: Change, *, ends: bool = True) -> bytes:
    """The file with changed weights; `ends`: those of the first and the last operator too."""
    raw = bytearray(model)
    found = list(_weights(raw))
    for weights in found if ends else found[1:-1]:
        weights[:] = change(weights)
    return bytes(raw)


def clustered(weights: Weights, clusters: int = 16, per_channel: bool = False) -> Weights:
    """Weights with at most so many values, of a channel or of all: k-means on their int8 values."""
    if per_channel:
        return np.stack([clustered(channel, clusters) for channel in weights])
    values, counts = np.unique(weights, return_counts=True)
    places = values.astype(np.float64)
    share = (np.cumsum(counts) - counts / 2) / counts.sum()
    centres = np.interp((np.arange(clusters) + 0.5) / clusters, share, places)
    for _ in range(30):
        nearest = np.abs(places[:, None] - centres).argmin(axis=1)
        for cluster in np.unique(nearest):
            own = nearest == cluster
            centres[cluster] = np.average(places[own], weights=counts[own])
    nearest = np.abs(places[:, None] - centres).argmin(axis=1)
    moved = np.rint(centres[nearest]).astype(np.int8)
    found: Weights = moved[np.searchsorted(values, weights)]
    return found


def pruned(weights: Weights, share: float) -> Weights:
    """Weights of which the smallest are zero, this share of them."""
    order = np.argsort(np.abs(weights.astype(np.int16)), axis=None, kind="stable")
    result = weights.copy()
    result.reshape(-1)[order[: int(share * weights.size)]] = 0
    return result


def without_words(weights: Weights, share: float, channels: int, lanes: int, seed: int) -> Weights:
    """Weights whose words of `channels` outputs by `lanes` inputs are zero, this share of them,
    drawn at random."""
    rng = np.random.default_rng(seed)
    outputs, inputs = weights.shape[0], weights.shape[-1]
    taps = weights.size // (outputs * inputs)
    words = -(-outputs // channels), taps, -(-inputs // lanes)
    kept = np.ones(np.prod(words), np.bool_)
    kept[rng.permutation(len(kept))[: round(share * len(kept))]] = False
    mask = kept.reshape(words).repeat(channels, axis=0).repeat(lanes, axis=2)
    kept_weights: Weights = weights * mask[:outputs, :, :inputs].reshape(weights.shape)
    return kept_weights
