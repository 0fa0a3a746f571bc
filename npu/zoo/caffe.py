"""Reads an SSD detector of Caffe, as a Keras model and in numpy what comes behind it.

Caffe's text gives the layers; weights come from OpenCV, whose reader of Caffe's files it is. The
model ends with offsets and scores of all default boxes; `boxes_of` makes faces of them, as Caffe's
DetectionOutput does (Liu et al. 2016, SSD: Single Shot MultiBox Detector).
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError

EPSILON = 1e-5
"""Caffe's own, of batch normalization."""

Message = dict[str, list[Any]]
Blobs = Callable[[str], Sequence[NDArray[np.float32]]]
_TOKEN = re.compile(r'#[^\n]*|"([^"]*)"|([{}])|([^\s{}:"]+)|:')


def parse(text: str) -> Message:
    """A message of protobuf's text form: each field's values, in their order.

    Numbers become floats, messages dictionaries, everything else strings.

    Raises
    ------
    OptimizeError : it ends inside a message, or a brace is closed that was not opened.
    """
    stack: list[Message] = [{}]
    name = ""
    for found in _TOKEN.finditer(text):
        quoted, brace, word = found.groups()
        if brace == "{":
            inner: Message = {}
            stack[-1].setdefault(name, []).append(inner)
            stack.append(inner)
            name = ""
        elif brace == "}":
            if len(stack) == 1:
                raise OptimizeError("a Caffe description closes a message that it did not open")
            stack.pop()
        elif quoted is not None or (word and name):
            stack[-1].setdefault(name, []).append(quoted if quoted is not None else _value(word))
            name = ""
        elif word:
            name = word
    if len(stack) > 1:
        raise OptimizeError("a Caffe description ends inside a message")
    return stack[0]


def _value(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


def build(description: Message, blobs: Blobs) -> Any:
    """The Keras model: pictures `[n, 300, 300, 3]`, BGR minus its mean, to offsets and scores.

    Parameters
    ----------
    description : what `parse` gives. blobs : a layer's weights by its name, as Caffe keeps them.

    Returns a model with two outputs, `[n, boxes, 4]` and `[n, boxes, 2]`.

    Raises
    ------
    OptimizeError : a layer that is not one of those of this detector.
    """
    import keras

    height, width = (int(v) for v in description["input_shape"][0]["dim"][2:])
    inputs = keras.Input((height, width, 3))
    tops: dict[str, Any] = {description["input"][0]: inputs}
    for layer in description["layer"]:
        kind, name = layer["type"][0], layer["name"][0]
        if kind in ("PriorBox", "Softmax", "DetectionOutput"):
            continue
        given = [tops[each] for each in layer["bottom"] if each in tops]
        if not given:
            continue
        make = _LAYERS.get(kind)
        if make is None:
            raise OptimizeError(f"Caffe's layer {name!r} is a {kind}, which is not read here")
        tops[layer["top"][0]] = make(layer, given, blobs(name))
    return keras.Model(inputs, [tops["mbox_loc"], tops["mbox_conf"]])


def _number(parameters: Message, name: str, default: int) -> int:
    return int(parameters.get(name, [default])[0])


def _convolution(layer: Message, given: list[Any], blobs: Sequence[Any]) -> Any:
    import keras

    parameters = layer["convolution_param"][0]
    pad, stride = _number(parameters, "pad", 0), _number(parameters, "stride", 1)
    x = keras.layers.ZeroPadding2D(pad)(given[0]) if pad else given[0]
    made = keras.layers.Conv2D(
        len(blobs[0]),
        blobs[0].shape[2:],
        strides=stride,
        dilation_rate=_number(parameters, "dilation", 1),
        use_bias=len(blobs) > 1,
        name=layer["name"][0],
    )
    y = made(x)
    made.set_weights([blobs[0].transpose(2, 3, 1, 0), *(each.ravel() for each in blobs[1:])])
    return y


def _batch_norm(layer: Message, given: list[Any], blobs: Sequence[Any]) -> Any:
    """The mean and the variance are sums, which the third blob divides."""
    mean, variance = (each.ravel() / max(blobs[2].item(), EPSILON) for each in blobs[:2])
    wide = 1 / np.sqrt(variance + EPSILON)
    return _affine(given[0], wide, -mean * wide)


def _scale(layer: Message, given: list[Any], blobs: Sequence[Any]) -> Any:
    return _affine(given[0], blobs[0].ravel(), blobs[1].ravel())


def _affine(x: Any, factor: NDArray[Any], offset: NDArray[Any]) -> Any:
    """As a normalization, which converters fold."""
    import keras

    made = keras.layers.BatchNormalization(epsilon=0.0)
    y = made(x)
    made.set_weights([factor, offset, np.zeros_like(factor), np.ones_like(factor)])
    return y


def _pooling(layer: Message, given: list[Any], blobs: Sequence[Any]) -> Any:
    """Caffe rounds the number of windows up: the last ones are cut off at the edge."""
    import keras

    parameters = layer["pooling_param"][0]
    size, stride = _number(parameters, "kernel_size", 1), _number(parameters, "stride", 1)
    ends = [-(side - size) % stride for side in given[0].shape[1:3]]
    # behind ReLU, zero is as good as nothing
    x = keras.layers.ZeroPadding2D(((0, ends[0]), (0, ends[1])))(given[0])
    return keras.layers.MaxPooling2D(size, stride)(x)


def _normalize(layer: Message, given: list[Any], blobs: Sequence[Any]) -> Any:
    """Pixels to length 1 over their channels, then a factor each; of operators that the NPU has."""
    import keras

    x = given[0]
    squares = keras.ops.sum(x * x, axis=-1, keepdims=True)
    factor = blobs[0].ravel()
    return _affine(x * keras.ops.rsqrt(squares + EPSILON), factor, np.zeros_like(factor))


def _flatten(layer: Message, given: list[Any], blobs: Sequence[Any]) -> Any:
    """Maps are NHWC here, so that Caffe's permutation is nothing: boxes of a pixel are together."""
    import keras

    values = 4 if "loc" in layer["name"][0] else 2
    return keras.layers.Reshape((-1, values))(given[0])


def _same(layer: Message, given: list[Any], blobs: Sequence[Any]) -> Any:
    return given[0]


def _keras(name: str, **options: Any) -> Callable[..., Any]:
    def make(layer: Message, given: list[Any], blobs: Sequence[Any]) -> Any:
        import keras

        made = getattr(keras.layers, name)(**options)
        return made(given if len(given) > 1 else given[0])

    return make


_LAYERS: dict[str, Callable[..., Any]] = {
    "Convolution": _convolution,
    "BatchNorm": _batch_norm,
    "Scale": _scale,
    "ReLU": _keras("ReLU"),
    "Pooling": _pooling,
    "Eltwise": _keras("Add"),
    "Normalize": _normalize,
    "Permute": _same,
    "Flatten": _flatten,
    "Reshape": _same,
    "Concat": _keras("Concatenate", axis=1),
}


def default_boxes(description: Message, maps: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """Centre and size of each box, `[boxes, 4]` as x, y, width, height in parts of the picture.

    `maps` : height and width of each PriorBox's map, in their order.
    """
    rows, columns = (float(v) for v in description["input_shape"][0]["dim"][2:])
    layers = [each for each in description["layer"] if each["type"][0] == "PriorBox"]
    found = []
    for layer, (height, width) in zip(layers, maps, strict=True):
        given = layer["prior_box_param"][0]
        least, most, step = (given[k][0] for k in ("min_size", "max_size", "step"))
        sizes = [(least, least), (np.sqrt(least * most),) * 2]
        for ratio in given["aspect_ratio"]:
            long, short = least * np.sqrt(ratio), least / np.sqrt(ratio)
            sizes += [(long, short), (short, long)]
        for y in range(height):
            for x in range(width):
                centre = (x + 0.5) * step / columns, (y + 0.5) * step / rows
                found += [[*centre, w / columns, h / rows] for w, h in sizes]
    return np.array(found)


def boxes_of(
    offsets: NDArray[Any],
    scores: NDArray[Any],
    defaults: NDArray[np.float64],
    *,
    least: float = 0.5,
    overlap: float = 0.45,
    variances: Sequence[float] = (0.1, 0.1, 0.2, 0.2),
) -> NDArray[np.float64]:
    """Faces `[n, 5]`: how sure, then left, top, right and bottom in parts of the picture.

    Parameters
    ----------
    offsets, scores : the model's, `[boxes, 4]` and `[boxes, 2]`, real numbers. defaults : of
        `default_boxes`. least : how sure at least. overlap : two boxes that share more (area of
        the intersection over that of the union) are one face.
    """
    sure = 1 / (1 + np.exp(scores[:, 0] - scores[:, 1]))
    kept = np.flatnonzero(sure >= least)
    kept = kept[np.argsort(-sure[kept], kind="stable")]
    moved = offsets[kept] * np.asarray(variances)
    centre = defaults[kept, :2] + moved[:, :2] * defaults[kept, 2:]
    half = defaults[kept, 2:] * np.exp(moved[:, 2:]) / 2
    boxes = np.concatenate([centre - half, centre + half], 1)
    chosen: list[int] = []
    for i, box in enumerate(boxes):
        if all(shared(box, boxes[j]) <= overlap for j in chosen):
            chosen.append(i)
    return np.concatenate([sure[kept][chosen, None], boxes[chosen]], 1)


def shared(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Intersection over union of two boxes: left, top, right, bottom."""
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    both = float(np.prod(sides))
    return both / (float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - both)
