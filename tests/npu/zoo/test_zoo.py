"""The shipped network and images: complete, as recorded, and runnable in the real TFLM."""

import gzip
import hashlib
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from npu import zoo
from npu.model.schema import OPERATOR_NAMES, schema
from npu.zoo import train_fashion_resnet as trainer
from tests.support.tflm import run_tflm

NAME = "fashion_resnet"
OPERATOR_COUNT = {
    "CONV_2D": 10,
    "ADD": 3,
    "DEPTHWISE_CONV_2D": 1,
    "AVERAGE_POOL_2D": 1,
    "FULLY_CONNECTED": 1,
    "RESHAPE": 1,
    "SOFTMAX": 1,
}


def graph() -> tuple[Any, Any]:
    """The flatbuffer's model and its only subgraph."""
    model = schema.Model.GetRootAs(zoo.model_path(NAME).read_bytes(), 0)
    assert model.SubgraphsLength() == 1
    return model, model.Subgraphs(0)


def operators() -> Iterator[tuple[str, Any]]:
    """Operators of the file in execution order: `(name, operator)`."""
    model, subgraph = graph()
    for i in range(subgraph.OperatorsLength()):
        operator = subgraph.Operators(i)
        yield OPERATOR_NAMES[model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()], operator


def test_the_file_is_the_recorded_one() -> None:
    content = zoo.model_path(NAME).read_bytes()
    record = zoo.load_record(NAME)
    assert hashlib.sha256(content).hexdigest() == record["sha256"]
    assert len(content) == record["bytes"] <= 120_000


def test_recorded_accuracy_is_that_of_a_useful_network() -> None:
    record = zoo.load_record(NAME)
    assert record["data"]["held_out_images"] == 10_000
    assert record["int8_accuracy"] >= 0.91
    assert abs(record["float_accuracy"] - record["int8_accuracy"]) < 0.01


def test_operators_are_the_expected_ones_in_the_recorded_order() -> None:
    found = [name for name, _ in operators()]
    assert found == zoo.load_record(NAME)["operators"]
    assert Counter(found) == OPERATOR_COUNT


def test_every_activation_is_int8_with_a_static_shape() -> None:
    _, subgraph = graph()
    for _, operator in operators():
        tensor = subgraph.Tensors(operator.Outputs(0))
        assert tensor.Type() == schema.TensorType.INT8
        assert tensor.ShapeSignatureIsNone() or (tensor.ShapeSignatureAsNumpy() > 0).all()


def test_input_is_the_pixel_minus_128() -> None:
    _, subgraph = graph()
    tensor = subgraph.Tensors(subgraph.Inputs(0))
    assert tensor.ShapeAsNumpy().tolist() == [1, 28, 28, 1]
    assert tensor.Quantization().ZeroPoint(0) == -128
    assert tensor.Quantization().Scale(0) == pytest.approx(1 / 255, rel=1e-6)
    pixels = np.arange(256, dtype=np.uint8)
    assert zoo.to_int8(pixels).tolist() == list(range(-128, 128))


def test_recorded_macs_are_those_of_the_file() -> None:
    _, subgraph = graph()
    macs = 0
    for name, operator in operators():
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weights = subgraph.Tensors(operator.Inputs(1)).ShapeAsNumpy()
            outputs = subgraph.Tensors(operator.Outputs(0)).ShapeAsNumpy()
            pixels = 1 if name == "FULLY_CONNECTED" else outputs[1] * outputs[2]
            macs += int(pixels * np.prod(weights))
    assert macs == zoo.load_record(NAME)["macs"]


def test_tflm_classifies_the_shipped_images_as_recorded() -> None:
    images, labels, class_names = zoo.load_images()
    recorded = zoo.load_record(NAME)["images"]
    assert images.shape == (20, 28, 28, 1)
    assert images.dtype == labels.dtype == np.uint8
    assert labels.tolist() == recorded["label"] == [c for c in range(10) for _ in range(2)]
    assert len(set(class_names)) == 10
    content = zoo.model_path(NAME).read_bytes()
    scores = [run_tflm(content, [image[None]])[0] for image in zoo.to_int8(images)]
    predicted = [int(np.argmax(score)) for score in scores]
    assert predicted == recorded["int8_predicted"]
    assert np.mean(predicted == labels) >= 0.8


def test_shipped_images_are_the_first_two_of_each_class_of_the_packaged_test_set() -> None:
    folder = trainer.DEBIAN_DATA
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: apt-get install dataset-fashion-mnist to run this test")
    everything = trainer.read_idx(folder / "t10k-images-idx3-ubyte.gz", (10_000, 28, 28))
    labels = trainer.read_idx(folder / "t10k-labels-idx1-ubyte.gz", (10_000,))
    chosen = trainer.first_of_each_class(labels, 2)
    assert chosen.tolist() == zoo.load_record(NAME)["images"]["test_set_index"]
    assert np.array_equal(everything[chosen][..., None], zoo.load_images()[0])


def test_names_and_unknown_name() -> None:
    assert NAME in zoo.names()
    assert zoo.model_path() == zoo.model_path(NAME)
    with pytest.raises(zoo.UnknownNetworkError, match=r"no network 'lenet' is shipped; there is"):
        zoo.model_path("lenet")
    with pytest.raises(zoo.UnknownNetworkError, match="lenet"):
        zoo.load_record("lenet")


def test_only_uint8_pixels_are_quantized() -> None:
    with pytest.raises(TypeError, match="images are float64, uint8 is needed"):
        zoo.to_int8(np.zeros((28, 28)))  # type: ignore[arg-type]


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """`array` of uint8 in the IDX format, uncompressed."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def test_idx_file_is_read(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(idx_bytes(array)))
    assert np.array_equal(trainer.read_idx(path, (2, 3, 4)), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip at all", "not a readable gzip file"),
        (gzip.compress(bytes(1000))[:-9], "not a readable gzip file"),
        (gzip.compress(b"\0\0\x08"), "is not an IDX file of uint8"),
        (gzip.compress(idx_bytes(np.zeros((2, 3, 5), np.uint8))), "is not an IDX file of uint8"),
        (gzip.compress(idx_bytes(np.zeros((2, 3, 4), np.uint8))[:-1]), "39 bytes, expected"),
    ],
    ids=["not-gzip", "cut-gzip", "short-header", "other-shape", "cut-data"],
)
def test_damaged_idx_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(trainer.DataError, match=message):
        trainer.read_idx(path, (2, 3, 4))


def test_augmentation_moves_or_mirrors_and_changes_nothing_else() -> None:
    images = np.zeros((200, 28, 28), np.uint8)
    images[:, 10, 6] = 255
    augmented = trainer.augment(images, np.random.default_rng(5))
    assert augmented.shape == (200, 28, 28, 1)
    assert augmented.dtype == np.float32
    assert (augmented.reshape(200, -1).sum(1) == 1).all()
    _, rows, columns, _ = np.nonzero(augmented)
    assert set(rows.tolist()) == set(range(8, 13))
    assert set(columns.tolist()) == {*range(4, 9), *range(19, 24)}


def test_batches_are_reproducible_and_cover_an_epoch() -> None:
    count = 2 * trainer.BATCH + 1
    images = np.zeros((count, 28, 28), np.uint8)
    labels = (np.arange(count) % 251).astype(np.uint8)
    first, again = trainer.batches(images, labels, 3), trainer.batches(images, labels, 3)
    seen = []
    for _ in range(4):
        (x, y), (x_again, y_again) = next(first), next(again)
        assert np.array_equal(x, x_again)
        assert np.array_equal(y, y_again)
        seen.append(y)
    assert len(np.unique(np.concatenate(seen[:2]))) >= 250
    assert not np.array_equal(seen[0], seen[2])


@pytest.mark.parametrize("bad", [["--epochs", "0"], ["--seed", "-1"]], ids=" ".join)
def test_trainer_refuses_impossible_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: list[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        trainer.main(["--out", str(tmp_path), *bad])
    assert stop.value.code == 2
    assert "at least 1 and 0 are needed" in capsys.readouterr().err


def test_trainer_says_how_to_get_missing_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        trainer.main(["--data", str(tmp_path / "nowhere"), "--out", str(tmp_path)])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "apt-get install dataset-fashion-mnist" in error
    assert error.count("\n") == 1


def test_trainer_says_how_to_get_missing_tensorflow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "load_fashion", lambda folder: ())
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(SystemExit) as stop:
        trainer.main(["--out", str(tmp_path / "out")])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "pip install 'npu-codesign[train]'" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
