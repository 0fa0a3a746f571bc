"""The first two training steps of every recipe, on random samples of its shape."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest

from npu.errors import OptimizeError
from npu.optimize.data import Dataset, Split
from npu.zoo import data as packaged
from npu.zoo.record import read_record
from npu.zoo.system import HALF, System, Training
from npu.zoo.systems import SYSTEMS
from npu.zoo.systems.e_neurons import build
from npu.zoo.training import train_system
from npu.zoo.workshop import Workshop

TRAINED = {s.letter: s for s in SYSTEMS.values() if s.training is not None}
BATCH, STEPS = 8, 2


@pytest.mark.parametrize("letter", TRAINED)
def test_first_two_steps(letter: str) -> None:
    training = TRAINED[letter].training
    assert training is not None
    keras.utils.set_random_seed(training.seed)
    model = training.build()
    assert tuple(model.inputs[0].shape[1:]) == training.shape
    assert model.outputs[0].shape[1:] == (training.classes,)
    rng = np.random.default_rng(training.seed)
    x = rng.normal(size=(BATCH, *training.shape)).astype(np.float32)
    y = rng.integers(0, training.classes, BATCH)
    before = [weights.copy() for weights in model.get_weights()]
    # eager: tracing a graph would take longer than two steps
    model.compile(
        keras.optimizers.Adam(training.rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=True,
    )
    losses = [float(model.train_on_batch(x, y)) for _ in range(STEPS)]
    assert np.isfinite(losses).all()
    assert model.trainable_weights
    moved = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert all(moved)


def small_training() -> Training:
    """E's network of four neurons on 90 samples."""
    return Training(
        build=lambda: build(4),
        source="small",
        shape=(8, 8, 1),
        classes=10,
        epochs=2,
        batch=30,
        prune=HALF,
        clusters=16,
        optimize_epochs=1,
    )


def small_data() -> Dataset:
    rng = np.random.default_rng(3)
    y = np.arange(120) % 10
    x = rng.random((120, 8, 8, 1), np.float32) * 0.3
    x[np.arange(120), y % 8, y % 5] += 1
    return Dataset(*(Split(x[a:b], y[a:b]) for a, b in ((0, 90), (90, 100), (100, 120))))


def test_training_writes_files_and_record_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(packaged._OWN, "small", small_data)
    system = dataclasses.replace(SYSTEMS["E"], slug="small", training=small_training(), study=None)
    lines: list[str] = []
    into = tmp_path / "into"
    record = train_system(system, tmp_path / "work", lines.append, into=into)
    assert record == read_record(system, into)
    assert record.dense is not None
    assert record.optimized is not None
    assert record.samples == [90, 10, 20]
    for each in (record.dense, record.optimized):
        assert (into / each.file).is_file()
        assert 0 <= each.int8_accuracy <= 1
    assert any("dense: epoch 2 of 2" in line for line in lines)
    # all that is done is taken up again
    lines.clear()
    again = train_system(system, tmp_path / "work", lines.append, into=into)
    assert again.dense == record.dense
    assert again.optimized == record.optimized
    assert "dense: goes on behind epoch 2 of 2" in lines
    assert not any("dense: epoch" in line for line in lines)


def test_interrupted_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    training = small_training()

    def workshop(name: str) -> Workshop:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        return Workshop(SYSTEMS["E"], training, small_data(), folder, lambda line: None)

    def start() -> object:
        keras.utils.set_random_seed(1)
        return training.build()

    def interrupt(epoch: int) -> None:
        raise KeyboardInterrupt

    whole = workshop("whole").train("dense", start())
    with pytest.raises(KeyboardInterrupt):
        workshop("cut").train("dense", start(), after_epoch=interrupt)
    resumed = workshop("cut").train("dense", start())
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_large_files_are_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packaged._OWN, "small", small_data)
    monkeypatch.setattr("npu.zoo.training.LARGEST", 100)
    system: System = dataclasses.replace(
        SYSTEMS["E"], slug="small", training=small_training(), study=None
    )
    with pytest.raises(OptimizeError, match="bytes, at most 100 are committed"):
        train_system(system, tmp_path, lambda line: None, into=tmp_path)


def test_what_trains_nothing_says_so(tmp_path: Path) -> None:
    system = dataclasses.replace(SYSTEMS["E"], training=None, reason="it is a calculator")
    with pytest.raises(OptimizeError, match="system E trains nothing: it is a calculator"):
        train_system(system, tmp_path, lambda line: None)
