"""Pruning by learning automata, after Guo et al. 2016: one automaton for each group of weights.

An automaton learns while the network trains whether its group is weakly connected. It has two
actions, *weak* and *strong*, and takes *weak* with probability p, at first 1/2. The environment is
a batch of training data: it answers weak for the groups of a layer with the least saliency
`|sum(w * dL/dw)|`, the first-order change of the loss if the group were removed, as many as are to
be pruned in the end. An action that agrees with the answer is rewarded, another one is penalized,
by the linear scheme (Narendra and Thathachar 1974):

    weak and rewarded:    p += REWARD * (1 - p)      strong and rewarded:  p -= REWARD * p
    weak and penalized:   p -= PENALTY * p           strong and penalized: p += PENALTY * (1 - p)

Groups are pruned in the order of p. The automata average over many batches what one batch says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from npu.optimize.data import Split
from npu.optimize.granularity import Groups
from npu.optimize.training.models import gives_logits, to_rows
from npu.optimize.training.pruning import Pruner
from npu.optimize.training.schedule import Schedule

REWARD = 0.1
PENALTY = 0.05
STEPS_BETWEEN = 3
"""Training steps between two answers of the environment."""

TIE_BREAK = 1e-3
"""What a group's share of the greatest energy adds, so that equal automata have an order."""


class AutomataPruner(Pruner):
    """A `Pruner` that ranks groups by their automata.

    Parameters
    ----------
    ratio : what is pruned in the end. data : where batches come from. batch : samples in one.
    seed : of actions and batches. The others are those of `Pruner`.
    """

    def __init__(
        self,
        layers: Sequence[Any],
        groups: Groups,
        schedule: Schedule,
        steps: int,
        *,
        ratio: float,
        data: Split,
        batch: int,
        seed: int,
    ) -> None:
        super().__init__(layers, groups, schedule, steps)
        self._ratio = ratio
        self._data = data
        self._batch = batch
        self._seed = seed
        self._gradients: Any = None
        self.weak = [
            keras.Variable(np.full(self.groups.energies(_rows(layer)).shape, 0.5), trainable=False)
            for layer in self.layers
        ]

    def state(self) -> list[Any]:
        """The variables that a checkpoint has to keep."""
        return [*super().state(), *self.weak]

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Let the automata act, and prune when it is time."""
        step = int(self._step.value)
        if step % STEPS_BETWEEN == 0:
            self.learn(np.random.default_rng([self._seed, step]))
        super().on_train_batch_end(batch, logs)

    def learn(self, generator: np.random.Generator) -> None:
        """One action of every automaton, on one batch."""
        chosen = generator.integers(0, len(self._data), self._batch)
        gradients = self._gradient_function()(self._data.x[chosen], self._data.y[chosen])
        for layer, weak, gradient in zip(self.layers, self.weak, gradients, strict=True):
            products = _rows(layer).astype(np.float64) * to_rows(np.asarray(gradient))
            saliency = np.abs(self.groups.sums(products))
            answer = saliency <= np.quantile(saliency, self._ratio)
            p = np.asarray(weak, np.float64)
            weak.assign(learnt(p, generator.random(p.shape) < p, answer).astype(np.float32))

    def scores(self, layer: Any) -> NDArray[np.float64]:
        """The probability of strong; what is pruned already comes first."""
        energies = super().scores(layer)
        place = next(i for i, other in enumerate(self.layers) if other is layer)
        strong = 1 - np.asarray(self.weak[place], np.float64)
        order = strong + TIE_BREAK * energies / max(float(energies.max()), 1e-30)
        return np.where(energies > 0, order, -1)

    def _gradient_function(self) -> Any:
        """Gradients of the loss for the pruned kernels, compiled at its first use."""
        if self._gradients is None:
            model = self.model
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=gives_logits(model))
            kernels = [layer.kernel.value for layer in self.layers]
            shape = tuple(model.inputs[0].shape[1:])

            @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
            def gradients(x: Any, y: Any) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch(kernels)
                    value = loss(y, model(tf.reshape(x, (-1, *shape)), training=False))
                return tape.gradient(value, kernels)

            self._gradients = gradients
        return self._gradients


def learnt(
    p: NDArray[np.float64], weak: NDArray[np.bool_], answer: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The probabilities of weak after actions (true: weak) and the environment's answers."""
    rate = np.where(weak == answer, REWARD, PENALTY)
    return np.where(answer, p + rate * (1 - p), p - rate * p)


def _rows(layer: Any) -> NDArray[np.float32]:
    return to_rows(np.asarray(layer.kernel))
