"""Data to train and to measure on: where they come from, and their division.

A source is named on the command line as one of

`FILE.npz`
    with arrays `x` and `y`, or `x_train`, `y_train` and, if there are such, `x_validation`,
    `y_validation`, `x_test`, `y_test`.
`FOLDER`
    with one folder of images for each class, whose sorted names are the labels 0, 1, ...
`module:function`
    a Python function without arguments that returns `(x, y)`, or a mapping with the names above.
a packaged set
    see `npu.optimize.packaged_data`.

Samples in floating point are what the network takes; integers are pixels, and are divided by 255.
"""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError
from npu.inputs import IMAGE_SUFFIXES
from npu.optimize.packaged_data import PACKAGED, load_packaged

SPLITS = ("train", "validation", "test")
HELD_OUT = 0.1
"""Share of the training data that becomes validation or test data where none are given."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Split:
    """Samples and their classes.

    Attributes
    ----------
    x : float32 `[n, ...]`, real values as the network takes them.
    y : int64 `[n]`.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    def take(self, indices: NDArray[np.intp]) -> "Split":
        """The samples at these indices."""
        return Split(self.x[indices], self.y[indices])

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raises `OptimizeError` unless samples have `shape`; a last extent of 1 may be missing."""
        given = self.x.shape[1:]
        if given != shape and (*given, 1) != shape:
            raise OptimizeError(
                f"samples of the data have shape {list(given)}, the network takes {list(shape)}"
            )

    def check_labels(self, classes: int) -> None:
        """Raises `OptimizeError` when a label is not a class."""
        wrong = (self.y < 0) | (self.y >= classes)
        if np.any(wrong):
            first = int(np.flatnonzero(wrong)[0])
            raise OptimizeError(
                f"label {int(self.y[first])} of sample {first} is out of range: the network has"
                f" {classes} classes, 0 to {classes - 1}"
            )


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data divided into what trains, what chooses, and what is measured on at the end."""

    train: Split
    validation: Split
    test: Split

    def arrays(self) -> list[NDArray[Any]]:
        """All samples and labels."""
        return [a for s in (self.train, self.validation, self.test) for a in (s.x, s.y)]

    def check(self, shape: tuple[int, ...], classes: int) -> None:
        """Raises `OptimizeError` unless all samples have `shape` and all labels are classes."""
        for split in (self.train, self.validation, self.test):
            split.check_shape(shape)
            split.check_labels(classes)


def load_dataset(
    source: str, *, validation: str | None = None, test: str | None = None, seed: int = 0
) -> Dataset:
    """Read data, and divide them where they are not divided.

    Without validation or test data, a tenth of the training data, drawn by `seed`, is theirs and
    no longer trains.

    Raises
    ------
    OptimizeError : something is missing, or not what this module's description says.
    """
    splits = read_splits(source)
    for name, other in (("validation", validation), ("test", test)):
        if other is not None:
            splits[name] = read_splits(other)["train"]
    train = splits["train"]
    order = np.random.default_rng(seed).permutation(len(train))
    for name in ("validation", "test"):
        if name not in splits:
            count = max(1, round(HELD_OUT * len(train)))
            splits[name] = train.take(np.sort(order[:count]))
            order = order[count:]
    return Dataset(train.take(np.sort(order)), splits["validation"], splits["test"])


def read_splits(source: str) -> dict[str, Split]:
    """What a source holds, by the names of `SPLITS`; `train` is always there.

    Raises
    ------
    OptimizeError : see `load_dataset`.
    """
    path = Path(source)
    if source.split(":")[0] in PACKAGED:
        return _splits(load_packaged(source), source)
    if path.suffix == ".npz":
        return _splits(_read_npz(path), source)
    if path.is_dir():
        return _splits(_read_folder(path), source)
    if ":" in source:
        return _splits(_call(source), source)
    raise OptimizeError(
        f"no data {source!r}: allowed are FILE.npz, a folder with a folder of images for each"
        f" class, module:function, and {', '.join(PACKAGED)}"
    )


def _splits(arrays: Arrays, source: str) -> dict[str, Split]:
    splits = {}
    if "x" in arrays and "y" in arrays:
        splits["train"] = _split(arrays["x"], arrays["y"], source)
    for name in SPLITS:
        if f"x_{name}" in arrays and f"y_{name}" in arrays:
            splits[name] = _split(arrays[f"x_{name}"], arrays[f"y_{name}"], source)
    if "train" not in splits:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise OptimizeError(f"data {source!r} need x and y, or x_train and y_train; found {found}")
    return splits


def _split(x: Any, y: Any, source: str) -> Split:
    x, y = np.asarray(x), np.asarray(y)
    if x.dtype.kind not in "fiu" or x.ndim < 2 or len(x) == 0:
        raise OptimizeError(
            f"data {source!r}: samples must be numbers of shape [n, ...], got {x.dtype}"
            f" {list(x.shape)}"
        )
    if y.dtype.kind not in "iu" or y.shape != x.shape[:1]:
        raise OptimizeError(
            f"data {source!r}: labels must be integers of shape {list(x.shape[:1])}, got {y.dtype}"
            f" {list(y.shape)}"
        )
    scale = np.float32(255 if x.dtype.kind in "iu" else 1)
    values = x.astype(np.float32) / scale
    if not np.all(np.isfinite(values)):
        raise OptimizeError(f"data {source!r}: samples must be finite")
    return Split(values, y.astype(np.int64))


def _read_npz(path: Path) -> Arrays:
    try:
        # numpy itself leaves a file open that it cannot read
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        reason = error.strerror or "it is no numpy archive"
        raise OptimizeError(f"cannot read data {str(path)!r}: {reason}") from None
    # libraries raise what they please: BadZipFile, zlib.error, ValueError, ...
    except Exception as error:
        raise OptimizeError(f"cannot read data {str(path)!r}: {error}") from None


def _read_folder(path: Path) -> Arrays:
    from PIL import Image

    classes = sorted(folder for folder in path.iterdir() if folder.is_dir())
    images: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, folder in enumerate(classes):
        for file in sorted(folder.iterdir()):
            if file.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            try:
                with Image.open(file) as image:
                    grey = image.mode in ("1", "L", "LA")
                    pixels = np.asarray(image.convert("L" if grey else "RGB"), np.uint8)
            # pillow raises what it pleases
            except Exception as error:
                raise OptimizeError(f"'{file}' is not a readable image: {error}") from None
            pixels = pixels.reshape(*pixels.shape[:2], -1)
            if images and pixels.shape != images[0].shape:
                raise OptimizeError(
                    f"image '{file}' has shape {list(pixels.shape)}, those before"
                    f" {list(images[0].shape)}; nothing is resized"
                )
            images.append(pixels)
            labels.append(label)
    if not images:
        raise OptimizeError(f"folder '{path}' has no folders with images, one for each class")
    return {"x": np.stack(images), "y": np.array(labels)}


def _call(source: str) -> Arrays:
    module, _, name = source.partition(":")
    # as `python -m` does, so that a file in the current folder is found
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        function = getattr(importlib.import_module(module), name)
        value = function()
    # whatever the user's code raises
    except Exception as error:
        reason = " ".join(str(error).split())
        raise OptimizeError(f"data {source!r}: {type(error).__name__}: {reason}") from None
    if isinstance(value, Mapping):
        return {str(key): np.asarray(array) for key, array in value.items()}
    if isinstance(value, tuple) and len(value) == 2:
        return {"x": np.asarray(value[0]), "y": np.asarray(value[1])}
    raise OptimizeError(
        f"data {source!r} returned {type(value).__name__}: (x, y) or a mapping of arrays expected"
    )
