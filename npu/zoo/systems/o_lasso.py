"""O: channels chosen by LASSO are taken out, and least squares makes up for them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npu.optimize.choices import Method
from npu.optimize.settings import Pruning
from npu.zoo.layers import classifier, conv, pool, samples_of
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

FACTORS = (2, 4, 5)


def build() -> Any:
    """In the style of VGG: pairs of convolutions, then pooling."""
    x = inputs = samples_of((28, 28, 1))
    for filters in (16, 32, 48):
        x = pool(conv(conv(x, filters, norm=False), filters, norm=False))
    return classifier(inputs, x, 10)


def study(workshop: "Workshop") -> Sequence[Table]:
    """Each factor, chosen by LASSO or magnitude, with and without least squares, and tuned."""
    from npu.optimize.training.channels import Selection, shrink
    from npu.optimize.training.fit import evaluate

    model = workshop.train("dense", build())
    data = workshop.data
    dense = workshop.cost("dense", model)
    rows = [
        [
            *("dense", "1.00x", "-", "-"),
            *(f"{dense.float_accuracy:.2%}", f"{dense.int8_accuracy:.2%}"),
            *(f"{dense.macs:,}", f"{dense.cycles:,}"),
        ]
    ]
    for factor in FACTORS:
        for selection in Selection:
            reached = []
            for reconstruct in (False, True):
                shrunk = shrink(
                    model,
                    data.train.x,
                    1 - 1 / factor,
                    selection=selection,
                    reconstruct=reconstruct,
                    seed=workshop.seed,
                )
                reached.append(f"{evaluate(shrunk.model, data.test):.2%}")
            tuned = workshop.train(
                f"{selection} {factor}",
                shrunk.model,
                epochs=2,
                rate=workshop.training.rate / 2,
            )
            cost = workshop.cost(f"{selection} {factor}", tuned)
            rows.append(
                [
                    f"{selection}, {factor}x",
                    f"{shrunk.factor:.2f}x",
                    *reached,
                    f"{cost.float_accuracy:.2%}",
                    f"{cost.int8_accuracy:.2%}",
                    f"{cost.macs:,}",
                    f"{cost.cycles:,}",
                ]
            )
    heading = (
        *("chosen by", "fewer MACs", "removed", "+ least squares", "+ 2 epochs"),
        *("int8", "MACs", "NPU cycles"),
    )
    note = (
        "Accuracies on held-out data, one seed; both ways are tuned from what least squares left."
    )
    return [Table("Channels removed", heading, rows, [note])]


SYSTEM = System(
    letter="O",
    slug="o_lasso",
    title="channels removed by LASSO and least squares",
    published="VGG-16 5x, +0.3 % error",
    data="Fashion-MNIST, stand-in for ImageNet",
    licence="MIT (Zalando SE), see ../LICENSE-fashion-mnist.txt",
    page="""\
The paper (He et al. 2017): channels of a trained network are chosen by LASSO on what the layers
behind them give, and taken out; least squares fits the remaining weights to the old outputs.
VGG-16 computes five times less at 0.3 points more error.
The same here: the method (`npu optimize --prune lasso:RATIO`), at 2x, 4x and 5x fewer MACs, with
and without the least squares, beside the choice by magnitude; filters are gone from the file.
Stand-in: a network in the style of VGG with six convolutions on 28x28 clothes, not VGG-16 on
ImageNet; so small a network has less to spare.
The numbers: `removed` is before anything is fitted, `+ least squares` before anything is trained,
`+ 2 epochs` behind a short tuning. Cycles follow MACs as long as channels fill the grid's words.
The committed network has four times fewer MACs, and 16 values a tensor.""",
    training=Training(
        build=build,
        source="fashion-mnist",
        shape=(28, 28, 1),
        classes=10,
        samples=4_000,
        epochs=6,
        batch=64,
        prune=Pruning(Method.LASSO, 0.75),
        optimize_epochs=3,
    ),
    study=study,
)
