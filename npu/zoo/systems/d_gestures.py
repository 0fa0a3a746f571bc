"""D: gestures: the best of many small networks, for accuracy and for cycles."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npu.zoo.layers import classifier, conv, pool, samples_of
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

SHAPE, CLASSES = (64, 1, 6), 11
WIDTHS, DEPTHS, KERNELS = (8, 16, 32), (2, 3), (3, 7)
EPOCHS = 4


def build(width: int = 32, depth: int = 3, kernel: int = 7) -> Any:
    """`depth` convolutions along time, each twice as wide as the one before."""
    x = inputs = samples_of(SHAPE)
    for i in range(depth):
        x = pool(conv(x, width << min(i, 1), (kernel, 1)), (2, 1))
    return classifier(inputs, x, CLASSES, dropout=0.2)


def study(workshop: "Workshop") -> Sequence[Table]:
    """All candidates, and which of them no other beats in both objectives."""
    found = []
    for width in WIDTHS:
        for depth in DEPTHS:
            for kernel in KERNELS:
                name = f"{width} wide, {depth} deep, kernel {kernel}"
                model = workshop.train(name, build(width, depth, kernel), epochs=EPOCHS)
                cost = workshop.cost(name, model)
                chosen = workshop.validation_accuracy(model)
                found.append((name, chosen, cost))
    rows = []
    for name, chosen, cost in sorted(found, key=lambda each: each[2].cycles or 0):
        beaten = any(
            other >= chosen and (c.cycles or 0) <= (cost.cycles or 0) and n != name
            for n, other, c in found
        )
        rows.append(
            [
                name,
                f"{chosen:.2%}",
                f"{cost.float_accuracy:.2%}",
                f"{cost.int8_accuracy:.2%}",
                f"{cost.macs:,}",
                f"{cost.cycles:,}",
                "" if beaten else "yes",
            ]
        )
    heading = (
        *("candidate", "validation", "held out, float", "held out, int8", "MACs"),
        *("NPU cycles", "on the front"),
    )
    note = (
        f"{EPOCHS} epochs each. The front is drawn by validation accuracy and cycles: no candidate"
        " is as good in both; held-out data chose nothing."
    )
    return [Table("Search", heading, rows, [note])]


SYSTEM = System(
    letter="D",
    slug="d_gestures",
    title="gestures of the arm, the best of a search",
    published="none found",
    data="smartwatch series (seglearn) merged with BasicMotions (aeon), real",
    licence="BSD-3-Clause packages seglearn and aeon; the data's own licences are not stated there",
    page="""\
The paper: gestures are recorded by a sensor on the arm and merged with a public set; of many small
convolutional networks the best is selected and put onto a microcontroller.
The same here: two packaged sets of six-channel inertial series are merged, seven exercises of a
watch and four activities; twelve candidates (width, depth, kernel) are trained and compared by two
objectives, accuracy on validation data and NPU cycles.
Not the same: the paper's own recordings are not packaged; both sets are real, and others.
Held out are two of ten people of the first set; the second set does not say who is who, so a fifth
of it is drawn at random. Its series have another rate, which makes the two easy to tell apart.
The numbers: the front shows what a little more accuracy costs. Validation data are one person's and
the held-out data two others', whence the gap between both.
The committed network is 32 wide, 3 deep, with kernel 7, trained three times as long.""",
    training=Training(
        build=build,
        source="gestures",
        shape=SHAPE,
        classes=CLASSES,
        epochs=12,
        batch=64,
        optimize_epochs=5,
    ),
    study=study,
)
