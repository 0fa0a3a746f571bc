"""What is pruned at once: a weight, a word of the grid, or all that makes an output channel."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.optimize.choices import Granularity
from rtl.config import NpuConfig


@dataclass(frozen=True)
class Groups:
    """How weights `[outputs, taps, inputs]` are divided into groups that are pruned as a whole.

    Parameters
    ----------
    outputs, inputs : extents of a group along these axes; those at the border are smaller.
    all_taps : whether a group spans all taps, else it has one.
    """

    outputs: int
    inputs: int
    all_taps: bool = False

    @classmethod
    def of(cls, granularity: Granularity, config: NpuConfig) -> "Groups":
        """The groups of a granularity; a word is K outputs by C inputs, as CONV weights are packed.

        The source of a word's form is `npu.compiler.terms.layout.pack_conv`.
        """
        match granularity:
            case Granularity.WEIGHT:
                return cls(1, 1)
            case Granularity.WORD:
                return cls(config.channels, config.lanes)
            case Granularity.CHANNEL:
                return cls(1, 1 << 30, all_taps=True)

    def energies(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """Sum of squares of each group, `[groups of outputs, of taps, of inputs]`."""
        squares = np.square(weights, dtype=np.float64)
        return self.sums(squares)

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of `values` `[outputs, taps, inputs]` over each group."""
        values = np.add.reduceat(values, self._starts(values.shape[0], self.outputs), axis=0)
        values = np.add.reduceat(values, self._starts(values.shape[2], self.inputs), axis=2)
        if self.all_taps:
            values = values.sum(axis=1, keepdims=True)
        return values

    def spread(self, groups: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """What holds for each group, for each of its weights: bool of `shape`."""
        outputs, taps, inputs = shape
        spread = np.repeat(groups, self.outputs, axis=0)[:outputs]
        spread = np.repeat(spread, min(self.inputs, inputs), axis=2)[:, :, :inputs]
        return np.broadcast_to(spread, (outputs, taps, inputs)).copy()

    @staticmethod
    def _starts(size: int, step: int) -> NDArray[np.intp]:
        return np.arange(0, size, step, dtype=np.intp)


def keep_mask(scores: NDArray[np.float64], ratio: float) -> NDArray[np.bool_]:
    """True for all but the `ratio` (0 to 1, rounded to whole groups) with the least scores.

    Of equal scores, the first are dropped first: the same scores give the same mask everywhere.
    """
    dropped = round(ratio * scores.size)
    keep = np.ones(scores.size, np.bool_)
    keep[np.argsort(scores, axis=None, kind="stable")[:dropped]] = False
    return keep.reshape(scores.shape)


def group_sparsity(weights: NDArray[Any], groups: Groups) -> float:
    """Share of groups in which every weight is zero, 0 to 1."""
    return float(np.mean(groups.sums((weights != 0).astype(np.float64)) == 0))
