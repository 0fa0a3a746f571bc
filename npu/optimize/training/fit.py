"""Training that goes on where it was interrupted, to the same network.

After every epoch, weights, the optimizer's state and the best weights so far go to one file. The
order of samples is drawn from seed and epoch: nothing depends on where the interruption was.
"""

import json
import logging
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from npu.optimize.augment import Augmentation
from npu.optimize.data import Dataset, Split
from npu.optimize.training.models import gives_logits

LOG = logging.getLogger(__name__)

EVALUATION_BATCH = 500

Log = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """How a stage trains.

    Attributes
    ----------
    stage : its name, for messages. epochs, batch, rate, seed : see `Settings`.
    checkpoint : where the state after each epoch goes; None keeps none.
    key : what identifies the stage and all that comes before it: a checkpoint of another is stale.
    choose_from : the first epoch (from 0) whose weights may be chosen by validation accuracy.
    targets : probabilities `[samples, classes]` that are learnt in place of the labels.
    augment : what is done to images in each epoch.
    """

    stage: str
    epochs: int
    batch: int
    rate: float
    seed: int
    checkpoint: Path | None = None
    key: str = ""
    choose_from: int = 0
    targets: NDArray[np.float32] | None = None
    augment: Augmentation | None = None


def fit(
    model: Any,
    data: Dataset,
    plan: FitPlan,
    *,
    callbacks: Sequence[Any] = (),
    log: Log | None = None,
    after_epoch: Callable[[int], None] | None = None,
) -> float:
    """Train with Adam and a cosine rate; ends with the weights of the best validation accuracy.

    Parameters
    ----------
    callbacks : Keras callbacks; what they and constraints keep in Keras variables listed in their
        `state` is kept in the checkpoint, too.
    after_epoch : called behind each checkpoint with the epoch's number.

    Returns the validation accuracy of the weights that are kept, 0 to 1.
    """
    steps = steps_in_epoch(len(data.train), plan.batch)
    rate = keras.optimizers.schedules.CosineDecay(plan.rate, plan.epochs * steps)
    soft = plan.targets is not None
    loss = "CategoricalCrossentropy" if soft else "SparseCategoricalCrossentropy"
    model.compile(
        keras.optimizers.Adam(rate), getattr(keras.losses, loss)(from_logits=gives_logits(model))
    )
    y = data.train.y if plan.targets is None else plan.targets
    model.optimizer.build(model.trainable_variables)
    state = [v for callback in callbacks for v in getattr(callback, "state", lambda: [])()]
    best = _Best()
    first = _restore(model, state, best, plan)
    if first and log is not None:
        log(f"{plan.stage}: goes on behind epoch {first} of {plan.epochs}")
    x = data.train.x.reshape(-1, *model.inputs[0].shape[1:])
    for epoch in range(first, plan.epochs):
        generator = np.random.default_rng([plan.seed, epoch])
        order = generator.permutation(len(x))
        shown = x[order] if plan.augment is None else plan.augment.apply(x[order], generator)
        # dropout draws from Keras' own generators
        keras.utils.set_random_seed(plan.seed * 1000 + epoch)
        model.fit(
            shown,
            y[order],
            batch_size=plan.batch,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
            callbacks=list(callbacks),
        )
        reached = evaluate(model, data.validation)
        if epoch >= plan.choose_from:
            best.offer(reached, model)
        if log is not None:
            log(f"{plan.stage}: epoch {epoch + 1} of {plan.epochs}, validation {reached:.2%}")
        if plan.checkpoint is not None:
            _save(model, state, best, plan, epoch + 1)
        if after_epoch is not None:
            after_epoch(epoch)
    if best.weights is not None:
        model.set_weights(best.weights)
    return best.accuracy


def steps_in_epoch(samples: int, batch: int) -> int:
    """Steps of an epoch, the last of which may be smaller."""
    return -(-samples // batch)


def scores(model: Any, data: Split) -> NDArray[np.float32]:
    """What the model gives for all samples, float32 `[n, classes]`."""
    x = data.x.reshape(-1, *model.inputs[0].shape[1:])
    parts = [
        np.asarray(model(x[i : i + EVALUATION_BATCH], training=False))
        for i in range(0, len(x), EVALUATION_BATCH)
    ]
    return np.concatenate(parts)


def soft_targets(model: Any, data: Split, share: float) -> NDArray[np.float32]:
    """Of each sample, `share` of the model's probabilities and the rest of its label.

    Knowledge distillation (Hinton et al. 2015) at temperature 1: float32 `[n, classes]`.
    """
    said = scores(model, data)
    if gives_logits(model):
        said = np.asarray(keras.ops.softmax(said))
    labels = np.eye(said.shape[1], dtype=np.float32)[data.y]
    targets: NDArray[np.float32] = (share * said + (1 - share) * labels).astype(np.float32)
    return targets


def evaluate(model: Any, data: Split) -> float:
    """Accuracy in floating point, 0 to 1."""
    return float(np.mean(np.argmax(scores(model, data), -1) == data.y))


class _Best:
    """The weights with the best validation accuracy; of equal ones, the later."""

    def __init__(self) -> None:
        self.accuracy = -1.0
        self.weights: list[NDArray[Any]] | None = None

    def offer(self, accuracy: float, model: Any) -> None:
        if accuracy >= self.accuracy:
            self.accuracy, self.weights = accuracy, model.get_weights()


def _save(model: Any, state: Sequence[Any], best: _Best, plan: FitPlan, done: int) -> None:
    assert plan.checkpoint is not None
    arrays = {f"m{i}": v for i, v in enumerate(model.get_weights())}
    arrays |= {f"o{i}": np.asarray(v) for i, v in enumerate(model.optimizer.variables)}
    arrays |= {f"s{i}": np.asarray(v) for i, v in enumerate(state)}
    arrays |= {f"b{i}": v for i, v in enumerate(best.weights or [])}
    about = {
        "key": plan.key,
        "done": done,
        "best": best.accuracy,
        "chosen": best.weights is not None,
    }
    part = plan.checkpoint.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
    os.replace(part, plan.checkpoint)


def _restore(model: Any, state: Sequence[Any], best: _Best, plan: FitPlan) -> int:
    """Take up a checkpoint of the same stage; returns the epochs that are done."""
    if plan.checkpoint is None or not plan.checkpoint.is_file():
        return 0
    try:
        with plan.checkpoint.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            about = json.loads(archive["about"].tobytes())
            if about["key"] != plan.key:
                return 0
            count = len(model.get_weights())
            weights = [archive[f"m{i}"] for i in range(count)]
            optimizer = [archive[f"o{i}"] for i in range(len(model.optimizer.variables))]
            kept = [archive[f"s{i}"] for i in range(len(state))]
            chosen = [archive[f"b{i}"] for i in range(count)] if about["chosen"] else None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        LOG.warning("checkpoint '%s' is not used: %s", plan.checkpoint, error)
        return 0
    model.set_weights(weights)
    for variable, value in zip(model.optimizer.variables, optimizer, strict=True):
        variable.assign(value)
    for variable, value in zip(state, kept, strict=True):
        variable.assign(value)
    best.accuracy, best.weights = about["best"], chosen
    return int(about["done"])
