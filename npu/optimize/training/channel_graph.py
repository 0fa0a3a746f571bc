"""Which layers share their channels, so that channels can be taken out of a model.

A *space* is a set of channels that only exist together: what a layer with a kernel gives, through
normalization, activations, pooling and depthwise layers, and across additions, up to the layers
with kernels that take it. Residual branches that are added are one space.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from npu.optimize.training.models import as_functional, producer

Keep = Mapping[int, NDArray[np.intp]]
"""By the number of a space, the channels that stay, ascending."""

_SAME = (
    *(keras.layers.BatchNormalization, keras.layers.ReLU, keras.layers.Dropout),
    *(keras.layers.MaxPooling2D, keras.layers.AveragePooling2D, keras.layers.ZeroPadding2D),
    *(keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D, keras.layers.LeakyReLU),
)
"""Layers that give the channels that they take."""

_MERGES = (keras.layers.Add, keras.layers.Subtract, keras.layers.Multiply, keras.layers.Average)


@dataclass
class Space:
    """Channels that exist together.

    Attributes
    ----------
    channels : how many. producers, followers, consumers : layers that make them with a kernel,
        that treat each by itself, and that sum over them with a kernel; by name.
    fixed : whether all have to stay: those of inputs and outputs, and of layers unknown here.
    """

    channels: int
    producers: list[str] = field(default_factory=list)
    followers: list[str] = field(default_factory=list)
    consumers: list[str] = field(default_factory=list)
    fixed: bool = False


@dataclass(frozen=True)
class ChannelGraph:
    """The spaces of a model.

    Attributes
    ----------
    spaces : all of them. before, after : the space that a layer with a kernel takes and gives.
    repeats : how many positions a Dense behind a Flatten has for each channel.
    """

    spaces: list[Space]
    before: dict[str, int]
    after: dict[str, int]
    repeats: dict[str, int]

    def prunable(self) -> list[int]:
        """The spaces from which channels can be taken, in the order of the layers."""
        return [i for i, s in enumerate(self.spaces) if not s.fixed and s.producers and s.consumers]


def channel_graph(model: Any) -> ChannelGraph:
    """Find the spaces of a functional model."""
    parent: list[int] = []
    spaces: list[Space] = []
    of: dict[str, tuple[int, int]] = {}
    before: dict[str, int] = {}
    repeats: dict[str, int] = {}

    def new(channels: int, fixed: bool = False) -> int:
        spaces.append(Space(channels, fixed=fixed))
        parent.append(len(spaces) - 1)
        return len(spaces) - 1

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            of[layer.name] = (new(int(layer.output.shape[-1]), fixed=True), 1)
            continue
        taken = [of[producer(t).name] for node in layer._inbound_nodes for t in node.input_tensors]
        space, repeat = taken[0]
        known = len(layer._inbound_nodes) == 1
        kernel = _has_kernel(layer)
        if known and kernel and not isinstance(layer, keras.layers.DepthwiseConv2D):
            before[layer.name], repeats[layer.name] = space, repeat
            of[layer.name] = (new(int(layer.output.shape[-1])), 1)
        elif known and (isinstance(layer, _SAME) or _plain(layer)):
            of[layer.name] = (space, repeat)
        elif known and isinstance(layer, keras.layers.Flatten):
            of[layer.name] = (space, repeat * int(np.prod(layer.input.shape[1:-1])))
        elif known and isinstance(layer, _MERGES) and len({r for _, r in taken}) == 1:
            for other, _ in taken[1:]:
                parent[root(other)] = root(space)
            of[layer.name] = (space, repeat)
        else:
            for other, _ in taken:
                spaces[other].fixed = True
            of[layer.name] = (new(int(layer.output.shape[-1]), fixed=True), 1)
    spaces[of[producer(model.outputs[0]).name][0]].fixed = True
    return _joined(model, spaces, [root(i) for i in range(len(spaces))], of, before, repeats)


def _joined(
    model: Any,
    spaces: list[Space],
    roots: list[int],
    of: Mapping[str, tuple[int, int]],
    before: Mapping[str, int],
    repeats: dict[str, int],
) -> ChannelGraph:
    """With additions counted as one space, and the layers of each."""
    numbers = {root: number for number, root in enumerate(dict.fromkeys(roots))}
    joined = [Space(spaces[root].channels) for root in numbers]
    for i, root in enumerate(roots):
        joined[numbers[root]].fixed |= spaces[i].fixed
    after: dict[str, int] = {}
    inputs: dict[str, int] = {}
    for layer in model.layers:
        number = numbers[roots[of[layer.name][0]]]
        if layer.name in before:
            after[layer.name] = number
            inputs[layer.name] = numbers[roots[before[layer.name]]]
            joined[number].producers.append(layer.name)
            joined[inputs[layer.name]].consumers.append(layer.name)
        elif layer.weights:
            joined[number].followers.append(layer.name)
    return ChannelGraph(joined, inputs, after, repeats)


def keep_channels(model: Any, graph: ChannelGraph, keep: Keep) -> Any:
    """The model with only the channels of `keep`; other spaces stay whole."""
    whole = {i: np.arange(space.channels) for i, space in enumerate(graph.spaces)}
    kept = {**whole, **keep}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in graph.after:
            count = len(kept[graph.after[layer.name]])
            config["filters" if "filters" in config else "units"] = count
        return type(layer).from_config(config)

    smaller = keras.models.clone_model(model, clone_function=clone)
    space_of = {name: i for i, space in enumerate(graph.spaces) for name in space.followers}
    for layer in smaller.layers:
        if not layer.weights:
            continue
        weights = model.get_layer(layer.name).get_weights()
        if layer.name in graph.after:
            rows = _rows(kept[graph.before[layer.name]], graph, layer.name)
            columns = kept[graph.after[layer.name]]
            kernel = weights[0][..., rows, :][..., columns]
            layer.set_weights([kernel, *(bias[columns] for bias in weights[1:])])
        elif layer.name in space_of:
            chosen = kept[space_of[layer.name]]
            layer.set_weights([_follower(value, chosen) for value in weights])
        else:
            layer.set_weights(weights)
    return as_functional(smaller)


def remaining_macs(model: Any, graph: ChannelGraph, shares: Mapping[int, float]) -> float:
    """Multiply-accumulates of one inference when of each space only a share of channels stays."""
    spaces = {name: i for i, space in enumerate(graph.spaces) for name in space.followers}
    total = 0.0
    for layer in model.layers:
        if not _has_kernel(layer):
            continue
        pixels = int(np.prod(layer.output.shape[1:-1], dtype=np.int64))
        macs = pixels * float(np.prod(layer.kernel.shape))
        if layer.name in graph.after:
            macs *= shares.get(graph.before[layer.name], 1) * shares.get(graph.after[layer.name], 1)
        else:
            macs *= shares.get(spaces.get(layer.name, -1), 1)
        total += macs
    return total


def _rows(channels: NDArray[np.intp], graph: ChannelGraph, name: str) -> NDArray[np.intp]:
    """Rows of a kernel that belong to channels; behind a Flatten each has one at every position."""
    size = graph.spaces[graph.before[name]].channels
    positions = np.arange(graph.repeats[name]) * size
    return (positions[:, None] + channels).reshape(-1)


def _follower(value: NDArray[Any], chosen: NDArray[np.intp]) -> NDArray[Any]:
    # depthwise kernels are [kh, kw, channels, 1], everything else is [channels]
    return value[:, :, chosen] if value.ndim == 4 else value[chosen]


def _has_kernel(layer: Any) -> bool:
    kinds = (keras.layers.Conv2D, keras.layers.Dense, keras.layers.DepthwiseConv2D)
    if not isinstance(layer, kinds):
        return False
    return getattr(layer, "groups", 1) == 1 or isinstance(layer, keras.layers.DepthwiseConv2D)


def _plain(layer: Any) -> bool:
    """A depthwise layer with a multiplier of 1, or an activation that looks at one value alone."""
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return bool(layer.depth_multiplier == 1)
    activation = getattr(layer, "activation", None)
    return isinstance(layer, keras.layers.Activation) and activation not in (
        keras.activations.softmax,
        keras.activations.log_softmax,
    )
