"""H: ECG on wearables, pruned in stages."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npu.optimize.choices import Granularity, Method
from npu.optimize.settings import Pruning
from npu.zoo.layers import classifier, conv, pool, samples_of
from npu.zoo.metrics import metrics
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

RATIO = 0.6
CHANNELS = (32, 32, 64, 64)


def build() -> Any:
    """Four convolutions along time, pooling after each."""
    x = inputs = samples_of((64, 1, 6))
    for channels in CHANNELS:
        x = pool(conv(x, channels, (5, 1)), (2, 1))
    return classifier(inputs, x, 7, dropout=0.2)


def study(workshop: "Workshop") -> Sequence[Table]:
    """In stages against at once, weights and words."""
    training = workshop.training
    start = workshop.train("dense", build())
    rows = [_row(workshop, "dense", start, None)]
    for granularity in (Granularity.WEIGHT, Granularity.WORD):
        for name, method in (("at once", None), ("in stages", Method.MULTISTAGE)):
            prune = Pruning(method or Method.MAGNITUDE, RATIO)
            model, sparsity = workshop.pruned(
                f"{granularity} {name}",
                start,
                prune,
                granularity,
                training.optimize_epochs,
                training.seed,
                at_once=method is None,
            )
            rows.append(_row(workshop, f"{granularity}s, {name}", model, sparsity))
    heading = (
        *("pruned", "zero weights", "float", "F1", "int8", "NPU cycles", "less"),
        *("CPU cycles", "less"),
    )
    dense_cycles = [int(rows[0][i].replace(",", "")) for i in (5, 7)]
    for row in rows:
        for place, dense_count in ((6, dense_cycles[0]), (8, dense_cycles[1])):
            row[place] = f"{1 - int(row[place - 1].replace(',', '')) / dense_count:.1%}"
    note = (
        f"{RATIO:.0%} of the prunable layers' weights, or of their words of the grid, are zero;"
        " the first and the last layer stay dense, as does what the CPU multiplies: its kernels do"
        " not look at weights, so its cycles do not fall. F1 is the mean over the classes."
    )
    return [Table("Multistage against one-shot", heading, rows, [note])]


def _row(workshop: "Workshop", name: str, model: Any, sparsity: float | None) -> list[str]:
    cost = workshop.cost(name, model)
    test = workshop.data.test
    found = metrics(test.y, workshop.predict(model, test.x), workshop.training.classes)
    return [
        name,
        "0.0%" if sparsity is None else f"{sparsity:.1%}",
        f"{cost.float_accuracy:.2%}",
        f"{found.dice:.2%}",
        f"{cost.int8_accuracy:.2%}",
        f"{cost.cycles:,}",
        "",
        f"{workshop.cpu_cycles(model):,}",
        "",
    ]


SYSTEM = System(
    letter="H",
    slug="h_multistage",
    title="series of a wearable, pruned in stages",
    published="60 %: 97.7 %, F1 93.59 %, run time -60.4 %",
    data="140 series of a smartwatch (seglearn), stand-in for ECG",
    licence="BSD-3-Clause (package seglearn, D. Burns); the data's own licence is not stated there",
    page="""\
The paper (Li et al. 2021): a 1-D network tells heart beats on a wearable; pruning a little, tuning,
ranking again, in several stages, takes 60 % out and leaves accuracy and F1 nearly as they were.
The same here: a 1-D convolutional network, multistage pruning (three stages) against pruning at
once to the same 60 %, F1, and what run time becomes on the CPU and on the NPU.
Stand-in: no labelled ECG is packaged; windows of 64 samples of a watch's six channels take its
place, seven exercises, and nobody whose series train is among the held-out people.
The numbers: pruned single weights save no cycles on either machine; pruned words save NPU cycles
where hardware skips zero words, and then less than 60 %, since the first and the last layer stay
dense. The paper's -60.4 % is of channels taken out of a CPU's loops; see O for that.
Held out are two people of ten: a percent is some 17 windows.""",
    training=Training(
        build=build,
        source="watch",
        shape=(64, 1, 6),
        classes=7,
        epochs=12,
        batch=64,
        prune=Pruning(Method.MULTISTAGE, RATIO),
        optimize_epochs=9,
    ),
    study=study,
)
