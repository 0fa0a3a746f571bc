"""G: leaves, a densely connected network, and what helps against overfitting."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from npu.optimize.data import Split
from npu.zoo.layers import classifier, conv, pool, samples_of
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

SHAPE = (427, 1, 1)
GROWTH = 8
EPOCHS = 16
NOISE = 0.05
COPIES = 2


def build(dropout: float = 0.0) -> Any:
    """Three dense blocks of two layers along the outline, pooling between them."""
    from keras import layers

    x = inputs = samples_of(SHAPE)
    x = pool(conv(x, 16, (7, 1), strides=(2, 1)), (2, 1))
    for block in range(3):
        for _ in range(2):
            x = layers.Concatenate()([x, conv(x, GROWTH, (5, 1))])
        if block < 2:
            x = pool(conv(x, 16, 1), (2, 1))
    return classifier(inputs, x, 6, dropout=dropout)


def with_l2(model: Any, strength: float = 1e-3) -> Any:
    """The same network, its convolutions held small."""
    import keras

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Conv2D):
            config["kernel_regularizer"] = keras.regularizers.L2(strength)
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=clone)


def augmented(split: Split, seed: int) -> Split:
    """Each outline as it is, and `COPIES` times from another start, with noise."""
    rng = np.random.default_rng(seed)
    parts: list[NDArray[np.float32]] = [split.x]
    for _ in range(COPIES):
        starts = rng.integers(0, SHAPE[0], len(split))
        moved = np.stack([np.roll(x, n, 0) for x, n in zip(split.x, starts, strict=True)])
        parts.append((moved + rng.normal(0, NOISE, moved.shape)).astype(np.float32))
    return Split(np.concatenate(parts), np.tile(split.y, COPIES + 1))


def study(workshop: "Workshop") -> Sequence[Table]:
    """DenseNet-121 for its cycles; ways against overfitting, each alone and the best together."""
    import keras

    more = replace(workshop.data, train=augmented(workshop.data.train, workshop.seed))
    ways: dict[str, dict[str, Any]] = {
        "nothing (Adam)": {},
        "augmentation": {"data": more},
        "dropout 0.5": {"dropout": 0.5},
        "L2 1e-3": {"l2": True},
        "early stop": {"stop": True},
        "SGD, momentum 0.9": {"optimizer": lambda: keras.optimizers.SGD(0.01, momentum=0.9)},
        "RMSprop": {"optimizer": lambda: keras.optimizers.RMSprop(1e-3)},
        "augmentation + dropout + L2 + early stop": {
            "data": more,
            "dropout": 0.5,
            "l2": True,
            "stop": True,
        },
    }
    rows = []
    for name, way in ways.items():
        model = build(way.get("dropout", 0.0))
        optimizer: Callable[[], Any] = way.get("optimizer", lambda: keras.optimizers.Adam(2e-3))
        epochs = workshop.plain(
            name,
            with_l2(model) if way.get("l2") else model,
            optimizer(),
            epochs=EPOCHS,
            data=way.get("data"),
            stop=way.get("stop", False),
        )
        train, validation, test = epochs.accuracies
        rows.append(
            [
                name,
                str(epochs.count),
                *(f"{value:.2%}" for value in (train, validation)),
                f"{100 * (train - validation):.1f}",
                f"{test:.2%}",
            ]
        )
    heading = ("way", "epochs", "training", "validation", "gap, points", "held out")
    note = f"At most {EPOCHS} epochs, one seed, 310 outlines train: a point is three outlines."
    return [
        Table("Against overfitting", heading, rows, [note]),
        workshop.application("DenseNet121", "DenseNet-121 at 224x224, random weights"),
    ]


SYSTEM = System(
    letter="G",
    slug="g_leaves",
    title="leaves, a dense network against overfitting",
    published="none found",
    data="OSULeaf (aeon), outlines of six kinds of leaves, stand-in for diseased leaves",
    licence="BSD-3-Clause package aeon (UCR archive); the data's own licence is not stated there",
    page="""\
The paper: DenseNet-121 tells diseases of leaves from photographs; few pictures and a large network
overfit, and augmentation, dropout, L2, early stop and optimizers are compared against that.
The same here: DenseNet-121 itself, with random weights, for its cycles on the NPU; a small densely
connected network trained, and the gap between training and validation under each of these ways,
three optimizers, and the best together.
Stand-in: no photographs of leaves are packaged; 442 outlines of six kinds of leaves (distance from
the centre, 427 points) take their place, so convolutions run along the outline.
The numbers: the gap is what the paper is about. With 310 outlines to train on and 44 to validate,
a difference below five points means little. DenseNet-121 has no accuracy: it was not trained.
The committed network is the small one without any of these ways.""",
    training=Training(
        build=build,
        source="leaves",
        shape=SHAPE,
        classes=6,
        epochs=30,
        batch=32,
        rate=3e-3,
        prune=None,
        optimize_epochs=10,
    ),
    study=study,
)
