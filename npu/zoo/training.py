"""Trains a system: its network, the optimizer's stages, its experiment. Needs TensorFlow."""

import hashlib
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import keras

from npu.errors import OptimizeError
from npu.optimize.measure import StageResult
from npu.zoo import data as packaged
from npu.zoo.record import FOLDER, Record, Trained, read_record, write_record
from npu.zoo.system import System, Training
from npu.zoo.workshop import Log, Workshop

LARGEST = 100_000
"""Bytes of a file that is committed."""

PACKAGES = ("tensorflow", "keras", "numpy")


def train_system(
    system: System, folder: Path, log: Log, *, source: str | None = None, into: Path = FOLDER
) -> Record:
    """Train, optimize, run the experiment; writes the network's files and their record to `into`.

    Parameters
    ----------
    folder : of everything that is made. source : of the data, where it is not the packaged place.

    Raises
    ------
    OptimizeError : the data are not there, or a file became too large.
    """
    if system.made is not None:
        return _make(system, folder, log, into)
    training = system.training
    if training is None:
        raise OptimizeError(f"system {system.letter} trains nothing: {system.reason}")
    folder.mkdir(parents=True, exist_ok=True)
    into.mkdir(parents=True, exist_ok=True)
    begin = time.process_time()
    data = packaged.load(source or training.source, samples=training.samples, seed=training.seed)
    data.check(training.shape, training.classes)
    # names that Keras numbers are in the files
    keras.utils.clear_session()
    keras.utils.set_random_seed(training.seed)
    workshop = Workshop(system, training, data, folder, log, training.seed)
    model = workshop.train("dense", training.build())
    stages = workshop.optimize("optimized", model)
    tables = list(system.study(workshop)) if system.study else []
    files = [
        _commit(stage, folder / "optimized", system, kind, into)
        for stage, kind in ((stages[0], "dense"), (stages[-1], "optimized"))
    ]
    before = read_record(system, into)
    seconds = time.process_time() - begin
    record = Record(
        letter=system.letter,
        recipe=recipe_of(training),
        samples=[len(data.train), len(data.validation), len(data.test)],
        data=system.data,
        licence=system.licence,
        share_alike=system.share_alike,
        parameters=int(model.count_params()),
        versions={name: metadata.version(name) for name in PACKAGES},
        # of the run that did most of the work
        cpu_seconds=round(max(seconds, 0 if before is None else before.cpu_seconds), 1),
        dense=files[0],
        optimized=files[1],
        study=tables,
    )
    write_record(record, system, into)
    return record


def _make(system: System, folder: Path, log: Log, into: Path) -> Record:
    """The experiment of a system without a network of its own."""
    assert system.made is not None
    for place in (folder, into):
        place.mkdir(parents=True, exist_ok=True)
    begin = time.process_time()
    tables = list(system.made(folder, log))
    record = Record(
        letter=system.letter,
        recipe={},
        samples=[],
        data=system.data,
        licence=system.licence,
        share_alike=system.share_alike,
        parameters=0,
        versions={name: metadata.version(name) for name in PACKAGES},
        cpu_seconds=round(time.process_time() - begin, 1),
        study=tables,
    )
    write_record(record, system, into)
    return record


def recipe_of(training: Training) -> dict[str, Any]:
    """A recipe as JSON takes it."""
    prune = training.prune
    return {
        "source": training.source,
        "samples": training.samples,
        "epochs": training.epochs,
        "batch": training.batch,
        "rate": training.rate,
        "seed": training.seed,
        "prune": None if prune is None else f"{prune.method}:{prune.ratio} of words",
        "clusters": training.clusters,
        "optimize_epochs": training.optimize_epochs,
    }


def _commit(stage: StageResult, folder: Path, system: System, kind: str, into: Path) -> Trained:
    content = (folder / stage.file).read_bytes()
    if len(content) > LARGEST:
        raise OptimizeError(
            f"system {system.letter}: the network has {len(content):,} bytes, at most {LARGEST:,}"
            " are committed"
        )
    name = f"{system.slug}_{kind}.tflite"
    (into / name).write_bytes(content)
    assert stage.float_accuracy is not None
    assert stage.int8_accuracy is not None
    return Trained(
        file=name,
        sha256=hashlib.sha256(content).hexdigest(),
        stage=stage.stage,
        float_accuracy=stage.float_accuracy,
        int8_accuracy=stage.int8_accuracy,
    )
