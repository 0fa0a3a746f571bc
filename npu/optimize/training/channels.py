"""Channel pruning after He et al. 2017: filters are removed, and what is left makes up for them.

Space by space, in the order of the layers, channels are chosen by LASSO: the outputs Y of the
layers that sum over the channels are approximated by `sum(beta_i X_i W_i)` with few beta that are
not zero. Then the weights behind the chosen channels are fitted by least squares, `min |Y - X'
W'|`, with X' as the smaller model has it and Y as the whole model had it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from npu.optimize.training.channel_graph import (
    ChannelGraph,
    channel_graph,
    keep_channels,
    remaining_macs,
)

SAMPLES = 400
"""Of the training data that outputs are compared on."""

POSITIONS = 12
"""Places in each sample's map, where a layer has several."""

RIDGE = 1e-6
"""Of the mean diagonal, added so that channels that never fire do no harm."""

SHARE_STEP = 0.01

Reals = NDArray[np.float64]


class Selection(StrEnum):
    """How channels are chosen."""

    LASSO = "lasso"
    MAGNITUDE = "magnitude"


@dataclass(frozen=True)
class Shrunk:
    """A smaller model, and by how much the MACs were divided."""

    model: Any
    factor: float


@dataclass(frozen=True, eq=False)
class _Seen:
    """What one consumer of a space takes and gives at the sampled places.

    `x` is `[places, channels, taps]`, `y` `[places, outputs]` without bias and `w` `[channels,
    taps, outputs]`.
    """

    name: str
    x: Reals
    y: Reals
    w: Reals


def shrink(
    model: Any,
    samples: NDArray[np.float32],
    ratio: float,
    *,
    selection: Selection = Selection.LASSO,
    reconstruct: bool = True,
    seed: int = 0,
) -> Shrunk:
    """Take out channels until `ratio` (0 to 1) of the MACs is gone, or as near as it gets.

    All spaces lose the same share of their channels, and keep one at least.
    """
    graph = channel_graph(model)
    whole = remaining_macs(model, graph, {})
    counts = _counts(model, graph, ratio)
    rng = np.random.default_rng(seed)
    chosen = samples[rng.permutation(len(samples))[:SAMPLES]]
    chosen = chosen.reshape(-1, *model.inputs[0].shape[1:])
    smaller = model
    for number in graph.prunable():
        if counts[number] == graph.spaces[number].channels:
            continue
        # the graph of the model as it has become
        now = channel_graph(smaller)
        names = now.spaces[number].consumers
        seen = [_look(model, smaller, name, now, number, chosen, rng) for name in names]
        if selection is Selection.LASSO:
            keep = lasso_choice(seen, counts[number])
        else:
            keep = _by_magnitude(smaller, now, number, counts[number])
        following = keep_channels(smaller, now, {number: keep})
        if reconstruct:
            for each in seen:
                _fit_consumer(following.get_layer(each.name), each, keep)
        smaller = following
    left = remaining_macs(smaller, channel_graph(smaller), {})
    return Shrunk(smaller, whole / left)


def _counts(model: Any, graph: ChannelGraph, ratio: float) -> dict[int, int]:
    """Channels that stay in each space: the most with which few enough MACs are left."""
    whole = remaining_macs(model, graph, {})
    counts = {}
    for step in range(round(1 / SHARE_STEP)):
        share = 1 - step * SHARE_STEP
        counts = {i: max(1, round(share * graph.spaces[i].channels)) for i in graph.prunable()}
        shares = {i: count / graph.spaces[i].channels for i, count in counts.items()}
        if remaining_macs(model, graph, shares) <= (1 - ratio) * whole:
            break
    return counts


def lasso_choice(seen: Sequence[_Seen], count: int) -> NDArray[np.intp]:
    """The `count` channels that LASSO keeps, over all consumers together, ascending.

    The problem is reduced to its normal equations: any square root of `Z'Z` has the same solutions
    as Z. The exact path of solutions (least angle regression) has one with each number of channels,
    or nearly; what is missing are the channels with the greatest correlation.
    """
    from sklearn.linear_model import lars_path

    channels = seen[0].x.shape[1]
    gram, correlation = np.zeros((channels, channels)), np.zeros(channels)
    for each in seen:
        z = np.einsum("pck,cko->cpo", each.x, each.w, optimize=True).reshape(channels, -1)
        gram += z @ z.T
        correlation += z @ each.y.reshape(-1)
    gram += RIDGE * max(float(np.trace(gram)) / channels, 1e-30) * np.eye(channels)
    root = np.linalg.cholesky(gram)
    target = np.linalg.solve(root, correlation)
    _, _, path = lars_path(root.T, target, method="lasso")
    alive = np.count_nonzero(path, axis=0)
    fitting = np.flatnonzero(alive <= count)
    best = fitting[np.argmax(alive[fitting])]
    order = np.abs(path[:, best])
    # those that the path has not taken up come behind all that it has
    order = np.where(order > 0, 1 + order / order.max(initial=1e-30), 0)
    order += np.abs(correlation) / max(np.abs(correlation).max(), 1e-30) * (order == 0) * 0.5
    return np.sort(np.argsort(-order, kind="stable")[:count])


def _by_magnitude(model: Any, graph: ChannelGraph, number: int, count: int) -> NDArray[np.intp]:
    """The channels whose filters have the greatest sum of magnitudes (Li et al. 2017)."""
    total = np.zeros(graph.spaces[number].channels)
    for name in graph.spaces[number].producers:
        kernel = np.asarray(model.get_layer(name).kernel)
        total += np.abs(kernel).reshape(-1, kernel.shape[-1]).sum(axis=0)
    return np.sort(np.argsort(-total, kind="stable")[:count])


def _look(
    model: Any,
    smaller: Any,
    name: str,
    graph: ChannelGraph,
    number: int,
    samples: NDArray[np.float32],
    rng: np.random.Generator,
) -> _Seen:
    """What a consumer takes in the smaller model, and gives in the whole one."""
    channels = graph.spaces[number].channels
    layer, whole = smaller.get_layer(name), model.get_layer(name)
    taken, original = _windows(smaller, layer, samples), _windows(model, whole, samples)
    places = np.arange(taken.shape[1])
    chosen = rng.integers(0, len(places), (len(samples), min(POSITIONS, len(places))))
    taken = np.take_along_axis(taken, chosen[:, :, None, None], axis=1)
    original = np.take_along_axis(original, chosen[:, :, None, None], axis=1)
    kernel = np.asarray(whole.kernel, np.float64)
    y = original.reshape(-1, kernel.size // kernel.shape[-1]) @ kernel.reshape(-1, kernel.shape[-1])
    x = taken.reshape(-1, taken.shape[2] * taken.shape[3] // channels, channels)
    own = np.asarray(layer.kernel, np.float64)
    w = own.reshape(-1, channels, own.shape[-1])
    return _Seen(name, x.transpose(0, 2, 1), y, w.transpose(1, 0, 2))


def _windows(model: Any, layer: Any, samples: NDArray[np.float32]) -> Reals:
    """What a layer multiplies with its kernel, `[samples, places, taps, channels]`."""
    inputs = keras.Model(model.inputs[0], layer.input)(samples, training=False)
    if not isinstance(layer, keras.layers.Conv2D):
        values = np.asarray(inputs, np.float64)
        return values[:, None, None, :]
    kh, kw, channels, _ = layer.kernel.shape
    patches = keras.ops.image.extract_patches(
        inputs,
        (kh, kw),
        strides=layer.strides,
        dilation_rate=layer.dilation_rate[0],
        padding=layer.padding,
    )
    return np.asarray(patches, np.float64).reshape(len(samples), -1, kh * kw, channels)


def _fit_consumer(layer: Any, seen: _Seen, keep: NDArray[np.intp]) -> None:
    """Least squares for a layer's kernel, and for its bias if it has one."""
    x = seen.x[:, keep].transpose(0, 2, 1).reshape(len(seen.x), -1)
    columns = np.ones((len(x), 1)) if layer.use_bias else np.zeros((len(x), 0))
    a = np.concatenate([x, columns], axis=1)
    gram = a.T @ a
    gram += RIDGE * max(float(np.trace(gram)) / len(gram), 1e-30) * np.eye(len(gram))
    fitted = np.linalg.solve(gram, a.T @ seen.y)
    kernel = fitted[: x.shape[1]].reshape(layer.kernel.shape)
    weights = [kernel.astype(np.float32)]
    if layer.use_bias:
        weights.append(np.asarray(layer.bias) + fitted[-1].astype(np.float32))
    layer.set_weights(weights)
