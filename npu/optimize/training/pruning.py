"""Pruning while training: a Keras callback that ranks groups of weights and tightens masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from npu.optimize.granularity import Groups, keep_mask
from npu.optimize.training.constraints import Mask, arm, mask_rows
from npu.optimize.training.models import to_rows
from npu.optimize.training.schedule import RAMP, Schedule

UPDATES = 25
"""How often masks are tightened while sparsity grows."""


class Pruner(keras.callbacks.Callback):  # type: ignore[misc]
    """Zeroes the groups with the least scores, of each layer the same share.

    By magnitude: a group's score is the energy of its weights. Ones that are zero stay so, since
    nothing is less. Other methods override `scores`.

    Parameters
    ----------
    layers : what is pruned; their kernels get a `Mask` as constraint.
    groups : what is zero together. schedule : how much, at which step.
    steps : in all.
    """

    def __init__(
        self, layers: Sequence[Any], groups: Groups, schedule: Schedule, steps: int
    ) -> None:
        super().__init__()
        self.layers = list(layers)
        self.groups = groups
        self._schedule = schedule
        self._every = max(1, round(RAMP * steps) // UPDATES)
        self._end = steps
        self._step = keras.Variable(0, trainable=False, dtype="int64", name="step")
        for layer in self.layers:
            arm(layer, Mask(np.asarray(layer.kernel) != 0))

    def state(self) -> list[Any]:
        """The variables that a checkpoint has to keep."""
        return [self._step, *(layer.kernel.constraint.mask for layer in self.layers)]

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Tighten the masks, when it is time."""
        step = int(self._step.value) + 1
        self._step.assign(step)
        if step % self._every == 0 or step in (1, self._end):
            self.tighten(self._schedule(step))

    def tighten(self, ratio: float) -> None:
        """Prune the share `ratio` of each layer's groups."""
        for layer in self.layers:
            keep = self.groups.spread(
                keep_mask(self.scores(layer), ratio), to_rows(np.asarray(layer.kernel)).shape
            )
            layer.kernel.constraint.set(mask_rows(layer, keep))
            arm(layer, layer.kernel.constraint)

    def scores(self, layer: Any) -> NDArray[np.float64]:
        """One for each group, least for what goes first."""
        return self.groups.energies(to_rows(np.asarray(layer.kernel)))
