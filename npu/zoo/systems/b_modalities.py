"""B: X-ray pictures: a small CNN against features with an MLP and against larger families."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npu.optimize.data import Dataset, Split
from npu.zoo.data import TOPS_HELD_OUT
from npu.zoo.layers import (
    classifier,
    conv,
    dense,
    depthwise,
    flatten,
    inception,
    pool,
    residual,
    samples_of,
)
from npu.zoo.metrics import COLUMNS, metrics
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

SHAPE = (28, 28, 1)
CELL = 4
DIRECTIONS = 4
EPOCHS = 4


def build() -> Any:
    """Three convolutions, pooling between them, one hidden layer."""
    x = inputs = samples_of(SHAPE)
    for filters in (8, 16, 32):
        x = pool(conv(x, filters))
    return classifier(inputs, dense(flatten(x), 32), 2)


def inception_style() -> Any:
    """Two modules of three kernel sizes."""
    x = inputs = samples_of(SHAPE)
    x = pool(conv(x, 8))
    return classifier(inputs, inception(pool(inception(x, 8)), 16), 2)


def mobilenet_style() -> Any:
    """Depthwise and pointwise convolutions."""
    x = inputs = samples_of(SHAPE)
    x = conv(x, 8, strides=2)
    for filters, strides in ((16, 1), (32, 2), (32, 1)):
        x = conv(depthwise(x, strides=strides), filters, 1)
    return classifier(inputs, x, 2)


def resnet_style() -> Any:
    """Three residual blocks."""
    x = inputs = samples_of(SHAPE)
    x = conv(x, 8, strides=2)
    for filters, strides in ((8, 1), (16, 2), (32, 2)):
        x = residual(x, filters, strides=strides)
    return classifier(inputs, x, 2)


def mlp() -> Any:
    """One hidden layer on features."""
    inputs = samples_of(((28 // CELL) ** 2 * (DIRECTIONS + 1),))
    return classifier(inputs, dense(inputs, 32), 2)


def features(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of brightness and histograms of the edges' directions, in cells of 4x4 pixels."""
    pictures = x[..., 0]
    dy, dx = np.gradient(pictures, axis=(1, 2))
    strength, angle = np.hypot(dx, dy), np.arctan2(dy, dx) % np.pi
    parts = [pictures]
    for i in range(DIRECTIONS):
        inside = np.floor(angle / np.pi * DIRECTIONS) % DIRECTIONS == i
        parts.append(np.where(inside, strength, 0))
    cells = [
        part.reshape(len(x), 28 // CELL, CELL, 28 // CELL, CELL).mean((2, 4)) for part in parts
    ]
    return np.stack(cells, -1).reshape(len(x), -1).astype(np.float32)


def study(workshop: "Workshop") -> Sequence[Table]:
    """Every family, and what one network does for each kind of pictures."""
    families: dict[str, tuple[Callable[[], Any], int | None]] = {
        "CNN, three layers": (build, None),
        "Inception style": (inception_style, EPOCHS),
        "MobileNet style": (mobilenet_style, EPOCHS),
        "ResNet style": (resnet_style, EPOCHS),
    }
    test, rows = workshop.data.test, []
    for name, (family, epochs) in families.items():
        model = workshop.train("dense" if epochs is None else name, family(), epochs=epochs)
        cost = workshop.cost(name, model, accuracy=False)
        predicted = workshop.predict(model, test.x)
        rows.append(
            [name, *metrics(test.y, predicted, 2).cells(), f"{cost.macs:,}", f"{cost.cycles:,}"]
        )
        if epochs is None:
            first = np.arange(len(test)) < TOPS_HELD_OUT
            for kind, chosen in (("tops", first), ("shoes", ~first)):
                found = metrics(test.y[chosen], predicted[chosen], 2)
                rows.append([f"the same, {kind} only", *found.cells(), "", ""])
    data = workshop.data
    parts = [Split(features(s.x), s.y) for s in (data.train, data.validation, data.test)]
    other = replace(workshop, data=Dataset(*parts))
    model = other.train("features", mlp(), epochs=EPOCHS)
    cost = other.cost("features", model, accuracy=False)
    found = metrics(test.y, other.predict(model, other.data.test.x), 2)
    rows.append(["features + MLP", *found.cells(), f"{cost.macs:,}", f"{cost.cycles:,}"])
    note = (
        "In floating point, on held-out pictures of both kinds; class 1 is the positive one. The"
        " MACs of the features themselves, which a CPU computes, are not counted."
    )
    return [Table("All families", ("network", *COLUMNS, "MACs", "NPU cycles"), rows, [note])]


SYSTEM = System(
    letter="B",
    slug="b_modalities",
    title="two kinds of pictures, positive or negative, by one network",
    published="93.2 / 96.1 % (CNN), 83.4 % (features)",
    data="Fashion-MNIST, stand-in for X-ray and a second modality",
    licence="MIT (Zalando SE), see ../LICENSE-fashion-mnist.txt",
    page="""\
The paper: a small network of alternating convolutions and pooling tells sick from healthy on X-ray
pictures, and the same on a second modality; against features with an MLP and large families.
The same here: the network of three such layers, features (brightness and directions of edges) with
an MLP, and networks in the style of Inception, MobileNet and ResNet at the size of the pictures;
accuracy, specificity, recall, miss rate, fall-out, Dice and Jaccard from one module.
Stand-in: no X-rays are packaged. One kind of pictures are tops, a coat is positive and a pullover
negative; the other kind are shoes, an ankle boot is positive and a sneaker negative.
The numbers: the rows `only` tell what the one network does for each kind. The two questions are of
unlike difficulty, as the paper's were; nothing here says how well X-rays would be told apart.
The larger families train for four epochs, the committed network for six.""",
    training=Training(
        build=build,
        source="two-kinds",
        shape=SHAPE,
        classes=2,
        samples=6_000,
        epochs=6,
        batch=64,
        optimize_epochs=3,
    ),
    study=study,
)
