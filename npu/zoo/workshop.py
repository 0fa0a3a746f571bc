"""Where a system is trained: what recipes and experiments are written with. Needs TensorFlow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from npu.model.tflite_reader import read_model_bytes
from npu.optimize import run
from npu.optimize.choices import Granularity, Quantization
from npu.optimize.data import Dataset, Split
from npu.optimize.granularity import Groups
from npu.optimize.measure import StageResult, accuracy, measure
from npu.optimize.settings import Pruning, Settings
from npu.optimize.training.convert import convert
from npu.optimize.training.environment import quiet
from npu.optimize.training.fit import FitPlan, evaluate, fit, scores, steps_in_epoch
from npu.optimize.training.models import as_functional, fold_batchnorm
from npu.optimize.training.pruning import Pruner
from npu.optimize.training.stages import Session, make_pruner, prunable_layers
from npu.zoo.cpu import cpu_measurement
from npu.zoo.system import System, Table, Training
from rtl.config import PRESETS
from sim.cache import content_key

CONFIG = "npu256c"
CALIBRATION = 300

Log = Callable[[str], None]


@dataclass(eq=False)
class Workshop:
    """Where a system is trained.

    Attributes
    ----------
    system, training, data : what is trained, and on what. folder : of everything that is made;
    what is there already is taken up. log : called with one line about each step.
    """

    system: System
    training: Training
    data: Dataset
    folder: Path
    log: Log
    seed: int = 1

    def train(
        self,
        name: str,
        model: Any,
        *,
        data: Dataset | None = None,
        epochs: int | None = None,
        rate: float | None = None,
        seed: int | None = None,
        callbacks: Sequence[Any] = (),
        keep: bool = True,
        after_epoch: Callable[[int], None] | None = None,
    ) -> Any:
        """Train a Keras model on the system's data; an interrupted training goes on.

        `keep` ends with the weights of the best validation accuracy, otherwise the last ones.
        """
        training = self.training
        used = self.data if data is None else data
        plan = FitPlan(
            stage=name,
            epochs=epochs or training.epochs,
            batch=training.batch,
            rate=rate or training.rate,
            seed=self.seed if seed is None else seed,
            checkpoint=self.folder / f"{name.replace(' ', '_')}.npz",
            key=content_key(name, repr(training), used.train.x.tobytes()),
        )
        if not keep:
            plan = replace(plan, choose_from=plan.epochs - 1)
        functional = as_functional(model)
        fit(functional, used, plan, callbacks=callbacks, log=self.log, after_epoch=after_epoch)
        return functional

    def optimize(self, name: str, model: Any, **changes: Any) -> list[StageResult]:
        """Prune, cluster and quantize; files and report go to a folder called `name`."""
        path = self.folder / f"{name}.keras"
        # what is saved anew has another date in it, and would be taken for another model
        if not (path.is_file() and _same_weights(model, keras.saving.load_model(path))):
            model.save(path)
        training = self.training
        settings = Settings(
            **{
                "prune": training.prune,
                "clusters": training.clusters,
                "epochs": training.optimize_epochs,
                "batch": training.batch,
                "rate": training.rate / 2,
                "seed": self.seed,
                **changes,
            }
        )
        task = run.Task(
            model=path,
            out=self.folder / name,
            config=PRESETS[CONFIG],
            config_name=CONFIG,
            data=self.data,
            log=self.log,
        )
        return list(run.optimize(task, settings).stages)

    def pruned(
        self,
        name: str,
        model: Any,
        prune: Pruning,
        granularity: Granularity,
        epochs: int,
        seed: int,
        *,
        at_once: bool = False,
    ) -> tuple[Any, float]:
        """A pruned copy of a model, trained on, and the share of its prunable weights that is zero.

        `at_once` prunes before the first step instead of little by little.
        """
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        training = self.training
        settings = Settings(
            prune=prune, granularity=granularity, epochs=epochs, batch=training.batch, seed=seed
        )
        layers = prunable_layers(copy, settings)
        groups = Groups.of(granularity, PRESETS[CONFIG])
        steps = epochs * steps_in_epoch(len(self.data.train), training.batch)
        session = Session(settings, self.data, PRESETS[CONFIG])
        if at_once:
            pruner = Pruner(layers, groups, lambda step: prune.ratio, steps)
            pruner.tighten(prune.ratio)
        else:
            pruner = make_pruner(settings, layers, groups, steps, session)
        copy = self.train(
            name,
            copy,
            epochs=epochs,
            rate=training.rate / 2,
            seed=seed,
            callbacks=[pruner],
            keep=False,
        )
        kernels = [np.asarray(layer.kernel) for layer in layers]
        zeros = sum(int(np.count_nonzero(kernel == 0)) for kernel in kernels)
        return copy, zeros / sum(kernel.size for kernel in kernels)

    def plain(
        self,
        name: str,
        model: Any,
        optimizer: Any,
        *,
        epochs: int,
        data: Dataset | None = None,
        stop: bool = False,
    ) -> "Plain":
        """Train by a given optimizer, as Keras does; with `stop` until validation gets worse.

        An interrupted training goes on (Keras' own backup).
        """
        used = self.data if data is None else data
        keras.utils.set_random_seed(self.seed)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, metrics=["accuracy"])
        place = self.folder / f"{name.replace(' ', '_')}.weights.h5"
        callbacks: list[Any] = [keras.callbacks.BackupAndRestore(place.with_suffix(".backup"))]
        if stop:
            early = keras.callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True)
            callbacks.append(early)
        done = place.with_suffix(".epochs")
        if done.is_file():
            model.load_weights(place)
            count = int(done.read_text(encoding="utf-8"))
        else:
            history = model.fit(
                used.train.x,
                used.train.y,
                batch_size=self.training.batch,
                epochs=epochs,
                validation_data=(used.validation.x, used.validation.y),
                verbose=0,
                callbacks=callbacks,
            )
            count = len(history.epoch)
            model.save_weights(place)
            done.write_text(str(count), encoding="utf-8")
        parts = (self.data.train, self.data.validation, self.data.test)
        found = tuple(evaluate(model, part) for part in parts)
        self.log(f"{name}: {', '.join(f'{value:.2%}' for value in found)}")
        return Plain(model, count, found)

    def application(self, name: str, title: str) -> Table:
        """Costs of a network of `keras.applications` with random weights, at 224x224."""
        path = self.folder / f"{name}.tflite"
        if not path.is_file():
            keras.utils.set_random_seed(self.seed)
            model = getattr(keras.applications, name)(weights=None, classifier_activation=None)
            rng = np.random.default_rng(self.seed)
            self.log(f"{name}: converting")
            path.write_bytes(convert(model, rng.random((2, 224, 224, 3), np.float32)))
        cost = measure(path.read_bytes(), PRESETS["npu256"], stage=name, file=path.name)
        self.log(f"{name}: {cost.cycles:,} cycles")
        useful = cost.macs / (cost.cycles or 1) / PRESETS["npu256"].macs_per_cycle
        rows = [
            [
                name,
                f"{cost.macs:,}",
                f"{cost.file_bytes:,}",
                f"{cost.cycles:,}",
                f"{useful:.1%}",
                f"{cost.on_npu} of {cost.operators}",
            ]
        ]
        columns = ("network", "MACs", "bytes", "cycles, npu256", "utilization", "operators on NPU")
        return Table(title, columns, rows)

    def validation_accuracy(self, model: Any) -> float:
        """In floating point, on what chooses."""
        return evaluate(model, self.data.validation)

    def predict(self, model: Any, x: NDArray[np.float32]) -> NDArray[np.intp]:
        """The class of each sample."""
        found = scores(model, Split(x, np.zeros(len(x), np.int64)))
        return np.asarray(np.argmax(found, -1))

    def both_accuracies(self, model: Any) -> tuple[float, float]:
        """In floating point, on the training data and on held-out data."""
        return evaluate(model, self.data.train), evaluate(model, self.data.test)

    def to_file(self, model: Any, *, kind: Quantization = Quantization.INT8) -> bytes:
        """The integer network of a model."""
        return convert(fold_batchnorm(model), self.data.train.x[:CALIBRATION], kind)

    def int_accuracy(self, content: bytes) -> float:
        """Of an integer network, on held-out data."""
        return accuracy(read_model_bytes(content, "network"), self.data.test)

    def cost(self, name: str, model: Any, *, accuracy: bool = True) -> StageResult:
        """What a model costs as int8 network on `CONFIG`, and how well it does on held-out data."""
        return measure(
            self.to_file(model),
            PRESETS[CONFIG],
            stage=name,
            file="",
            held_out=self.data.test if accuracy else None,
            float_accuracy=evaluate(model, self.data.test) if accuracy else None,
        )

    def float_file(self, model: Any) -> bytes:
        """The network in floating point."""
        shape = model.inputs[0].shape[1:]
        given = keras.Input(batch_shape=(1, *shape), name="samples")
        fixed = keras.Model(given, model(given), name="optimized")
        with quiet():
            return bytes(tf.lite.TFLiteConverter.from_keras_model(fixed).convert())

    def cpu_cycles(self, model: Any) -> int:
        """Cycles of the int8 network on the bench's CPU, with optimized kernels."""
        return cpu_measurement(read_model_bytes(self.to_file(model), "network"), self.log).cycles


@dataclass(frozen=True, eq=False)
class Plain:
    """A model that `Workshop.plain` trained, in how many epochs, its accuracy on each part."""

    model: Any
    count: int
    accuracies: tuple[float, ...]


def _same_weights(model: Any, other: Any) -> bool:
    mine, theirs = model.get_weights(), other.get_weights()
    return len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))
