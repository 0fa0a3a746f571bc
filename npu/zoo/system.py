"""What a system of the zoo is: its paper, its data, its network, its recipe, its experiment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npu.optimize.choices import Method
from npu.optimize.settings import Pruning

HALF = Pruning(Method.MAGNITUDE, 0.5)


@dataclass(frozen=True)
class Table:
    """What an experiment found.

    Attributes
    ----------
    title : what it is about. columns, rows : as they are shown.
    notes : how to read it, what is missing and why.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table for a document."""
        lines = [
            f"*{self.title}*\n",
            f"| {' | '.join(self.columns)} |",
            f"|---|{'---:|' * (len(self.columns) - 1)}",
            *(f"| {' | '.join(row)} |" for row in self.rows),
        ]
        return "\n".join(lines) + "\n" + "".join(f"\n{note}\n" for note in self.notes)


@dataclass(frozen=True, kw_only=True)
class Training:
    """A network that is trained, and then optimized.

    Attributes
    ----------
    build : makes the Keras model, which gives scores of classes without softmax.
    source : the packaged data, see `npu.zoo.data`. shape, classes : of a sample, and how many.
    samples : how many of the training samples are used; None takes all.
    epochs, batch, rate, seed : of the training.
    prune, clusters, optimize_epochs : what the optimizer does to it, in how many epochs a stage.
    """

    build: Callable[[], Any]
    source: str
    shape: tuple[int, ...]
    classes: int
    samples: int | None = None
    epochs: int
    batch: int = 64
    rate: float = 2e-3
    seed: int = 1
    prune: Pruning | None = HALF
    clusters: int | None = 16
    optimize_epochs: int = 6


@dataclass(frozen=True, kw_only=True)
class System:
    """One of the fifteen.

    Attributes
    ----------
    letter, slug, title : its letter, the name of its files, what it does.
    published : the figure that stands beside ours.
    data : what the network is trained on, and for what that stands in.
    licence : of these data. share_alike : whether it binds what is made from them.
    page : ten lines: what the paper did, what is the same here, what stands in for what and why,
        what the numbers mean.
    training : None where nothing is trained; `reason` then says why its cells are dashes.
    study : the experiment beside the network, run while training: it gets a
        `npu.zoo.workshop.Workshop`.
    made : what `train` does where no network is trained: it gets a folder and a log.
    measured : an experiment that `bench` runs, without TensorFlow.
    """

    letter: str
    slug: str
    title: str
    published: str
    data: str
    licence: str
    share_alike: bool = False
    page: str
    training: Training | None = None
    reason: str = ""
    study: Callable[[Any], Sequence[Table]] | None = None
    made: Callable[[Path, Callable[[str], None]], Sequence[Table]] | None = None
    measured: Callable[[], Sequence[Table]] | None = None
