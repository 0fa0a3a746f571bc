"""Figures of a classifier beside its accuracy, from the table of what was taken for what.

With TP, FP, FN and TN of one class against all others, each figure is the mean over the classes;
with two classes it is that of class 1, the positive one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metrics:
    """All between 0 and 1; those of a class that never occurs count as 0.

    Attributes
    ----------
    accuracy : right of all. specificity : TN / (TN + FP). recall : TP / (TP + FN).
    miss_rate : 1 - recall. fall_out : 1 - specificity.
    dice : 2 TP / (2 TP + FP + FN), which is F1. jaccard : TP / (TP + FP + FN).
    """

    accuracy: float
    specificity: float
    recall: float
    miss_rate: float
    fall_out: float
    dice: float
    jaccard: float

    def cells(self) -> list[str]:
        """For a table, in the order of `COLUMNS`."""
        return [f"{value:.2%}" for value in vars(self).values()]


COLUMNS = ("accuracy", "specificity", "recall", "miss rate", "fall-out", "Dice", "Jaccard")


def metrics(labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int) -> Metrics:
    """What a classifier did: both `[n]`, from 0 to `classes` - 1."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predicted), 1)
    tp = np.diag(counts).astype(np.float64)
    fp, fn = counts.sum(0) - tp, counts.sum(1) - tp
    tn = counts.sum() - tp - fp - fn
    chosen = slice(1, 2) if classes == 2 else slice(None)

    def share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> float:
        return float(np.mean((part / np.maximum(whole, 1))[chosen]))

    specificity, recall = share(tn, tn + fp), share(tp, tp + fn)
    return Metrics(
        accuracy=float(tp.sum() / max(counts.sum(), 1)),
        specificity=specificity,
        recall=recall,
        miss_rate=1 - recall,
        fall_out=1 - specificity,
        dice=share(2 * tp, 2 * tp + fp + fn),
        jaccard=share(tp, tp + fp + fn),
    )
