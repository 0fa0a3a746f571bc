"""What may follow `--input`, and how real values and pixels become int8."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from npu.errors import InputError
from npu.inputs import load_inputs, quantize_input
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from tests.npu.small_model import classifier
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile
from tests.support.tflm import run_tflm

SHAPE = (1, 9, 8, 3)


@pytest.fixture(name="graph")
def graph_fixture() -> Graph:
    return read_model_bytes(classifier(), "m")


def passthrough(shape: tuple[int, ...], scale: float, zero_point: int) -> Graph:
    """A network of one operator whose input has this shape and quantization."""
    m = ModelBuilder()
    m.relu(m.input(shape, scale=scale, zero_point=zero_point, name="image"), scale=1, zero_point=0)
    return read_model_bytes(m.build(), "m")


def load_one(spec: object, graph: Graph) -> NDArray[np.int8]:
    """The only input of `graph`, from one spec."""
    (value,) = load_inputs([str(spec)], graph).values()
    return value


def saved(tmp_path: Path, array: NDArray[Any]) -> Path:
    path = tmp_path / "x.npy"
    np.save(path, array)
    return path


def test_random_is_repeatable_and_covers_int8(graph: Graph) -> None:
    first, again = load_one("random:7", graph), load_one("random:7", graph)
    np.testing.assert_array_equal(first, again)
    assert first.shape == SHAPE
    assert first.dtype == np.int8
    assert (first != load_one("random:8", graph)).any()
    assert first.min() < -120
    assert first.max() > 120
    (default,) = load_inputs([], graph).values()
    np.testing.assert_array_equal(default, load_one("random:0", graph))


def test_int8_array_is_taken_as_it_is(graph: Graph, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(-128, 128, SHAPE, np.int8)
    np.testing.assert_array_equal(load_one(saved(tmp_path, array), graph), array)
    np.testing.assert_array_equal(load_one(saved(tmp_path, array[0]), graph), array)
    np.testing.assert_array_equal(load_one(saved(tmp_path, np.asfortranarray(array)), graph), array)


def test_npz_by_key(graph: Graph, tmp_path: Path) -> None:
    a, b = np.zeros(SHAPE, np.int8), np.ones(SHAPE, np.int8)
    path = tmp_path / "two.npz"
    arrays: dict[str, Any] = {"net/a": a, "b": b}
    np.savez(path, **arrays)
    np.testing.assert_array_equal(load_one(f"{path}:net/a", graph), a)
    np.testing.assert_array_equal(load_one(f"{path}:b", graph), b)
    with pytest.raises(InputError, match=r"no array 'c', it holds net/a, b"):
        load_one(f"{path}:c", graph)
    with pytest.raises(InputError, match=r"no key given, it holds net/a, b"):
        load_one(path, graph)
    single = tmp_path / "one.npz"
    np.savez(single, only=b)
    np.testing.assert_array_equal(load_one(single, graph), b)


def test_many_keys_are_not_all_listed(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "many.npz"
    arrays: dict[str, Any] = {f"k{i}": np.zeros(1) for i in range(30)}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"k11 and 18 more$"):
        load_one(path, graph)


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(1 / 255, -128), (0.1, 0), (0.0372, 17), (3.5, 127)]
)
def test_real_values_are_quantized_as_tflm_does(scale: float, zero_point: int) -> None:
    m = ModelBuilder()
    y = m.quantize(m.input((4000,), dtype="float32"), scale=scale, zero_point=zero_point)
    rng = np.random.default_rng(3)
    values = rng.uniform(-140 * scale, 140 * scale, 4000).astype(np.float32)
    # ties, and both neighbours of ties in float32
    ties = (np.arange(1000, dtype=np.float32) - 500 + np.float32(0.5)) * np.float32(scale)
    values[:1000] = ties
    values[1000:2000] = np.nextafter(ties, np.float32(np.inf))
    values[2000:3000] = np.nextafter(ties, np.float32(-np.inf))
    (expected,) = run_tflm(m.build(), [values])
    tensor = passthrough((4000,), scale, zero_point).tensors[0]
    np.testing.assert_array_equal(quantize_input(values, tensor), expected)
    assert y.zero_point == zero_point


def test_float_array(tmp_path: Path) -> None:
    graph = passthrough((1, 4), 0.5, 1)
    array = np.array([0.25, -0.25, 1000.0, -1000.0])
    np.testing.assert_array_equal(load_one(saved(tmp_path, array), graph), [[2, 0, 127, -128]])


NO_VALUES = {
    np.nan: r"holds nan at index \[0, 1, 2, 0\], 1 of its 216 values are like that, finite",
    -np.inf: r"holds -inf at index \[0, 1, 2, 0\]",
    1e300: r"input 'image': .* has a value that is no int32, or NaN",
}


@pytest.mark.parametrize("bad", NO_VALUES)
def test_values_that_have_no_quantized_value(graph: Graph, tmp_path: Path, bad: float) -> None:
    array = np.zeros(SHAPE, np.float64)
    array[0, 1, 2, 0] = bad
    with pytest.raises(InputError, match=NO_VALUES[bad]):
        load_one(saved(tmp_path, array), graph)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 9, 9, 3), np.int8), r"has shape \[1, 9, 9, 3\], .* 'image' has \[1, 9, 8, 3"),
        (np.zeros((2, 9, 8, 3), np.int8), r"has shape \[2, 9, 8, 3\]"),
        (np.zeros(216, np.int8), r"has shape \[216\]"),
        (np.zeros(SHAPE, np.uint8), r"is uint8, allowed are int8 \(quantized values\) and"),
        (np.zeros(SHAPE, np.int32), r"is int32, allowed are int8"),
        (np.zeros(SHAPE, np.complex64), r"is complex64, allowed are int8"),
        (np.array(["a"]), r"has shape \[1\]"),
    ],
)
def test_wrong_array(graph: Graph, tmp_path: Path, array: NDArray[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_one(saved(tmp_path, array), graph)


def test_object_array_is_refused(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "o.npy"
    np.save(path, np.array([{}, []], object), allow_pickle=True)
    with pytest.raises(InputError, match="is not a readable numpy file"):
        load_one(path, graph)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.png", "x.jpg"])
@pytest.mark.parametrize("content", [b"", b"not such a file", b"\x93NUMPY\x01\x00", b"PK\x03\x04"])
def test_broken_file(graph: Graph, tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not a readable") as caught:
        load_one(path, graph)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("x.txt", r"'x.txt' is of an unknown form, allowed are FILE.npy, FILE.npz:key, an image"),
        ("", "is of an unknown form"),
        ("none.npy", r"input file 'none.npy' does not exist"),
        ("none.npz:a", r"input file 'none.npz' does not exist"),
        ("none.png", r"input file 'none.png' does not exist"),
        ("random:", "the seed '' is not a whole number from 0"),
        ("random:-1", "the seed '-1' is not a whole number"),
        ("random:1.5", "the seed '1.5' is not a whole number"),
    ],
)
def test_wrong_spec(graph: Graph, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_one(spec, graph)


@pytest.mark.parametrize("name", ["pipe.npy", "pipe.png", "folder.npy"])
def test_what_is_no_file(tmp_path: Path, graph: Graph, name: str) -> None:
    path = tmp_path / name
    path.mkdir() if name.startswith("folder") else os.mkfifo(path)
    with pytest.raises(InputError, match=f"input file '.*{name}' is not a regular file"):
        load_one(path, graph)


def test_several_inputs(tmp_path: Path) -> None:
    m = ModelBuilder()
    a = m.input((1, 4), scale=0.5, name="left")
    b = m.input((1, 4), scale=0.5, name="right")
    m.add(a, b, scale=1, zero_point=0)
    graph = read_model_bytes(m.build(), "m")
    one = saved(tmp_path, np.ones((1, 4), np.int8))
    filled = load_inputs([str(one), "random:3"], graph)
    assert list(filled) == [a.index, b.index]
    assert filled[a.index].tolist() == [[1, 1, 1, 1]]
    drawn = load_inputs(["random:3"], graph)
    assert drawn[a.index].tolist() != drawn[b.index].tolist()
    with pytest.raises(InputError, match=r"1 inputs given, .* has 2: 'left' \[1, 4\], 'right'"):
        load_inputs([str(one)], graph)


def reshaped(dtype: str) -> Graph:
    """A network that passes an input of this type on."""
    m = ModelFile()
    m.operator("RESHAPE", [m.input((2,), dtype=dtype, name="ids")], [m.tensor((1, 2), dtype)])
    return read_model_bytes(m.build(), "m")


def test_other_integers(tmp_path: Path) -> None:
    graph = reshaped("int32")
    value = load_one("random:1", graph)
    assert value.dtype == np.int32
    assert set(value.tolist()) <= {0, 1}
    given = np.array([70000, -5], np.int32)
    np.testing.assert_array_equal(load_one(saved(tmp_path, given), graph), given)
    np.testing.assert_array_equal(load_one(saved(tmp_path, given.astype(">i4")), graph), given)
    with pytest.raises(InputError, match="is int64, allowed is int32"):
        load_one(saved(tmp_path, given.astype(np.int64)), graph)


def test_indices_are_those_of_the_table() -> None:
    m = ModelFile()
    table, x = m.constant(np.zeros((7, 2), np.int8), scale=0.5), m.input((500,), dtype="int32")
    y = m.tensor((500, 2), scale=0.5)
    m.operator("GATHER", [table, x], [y], {"axis": 0}, options_type="GatherOptions")
    value = load_one("random:1", read_model_bytes(m.build(), "m"))
    assert (value.min(), value.max()) == (0, 6)


def unsigned(shape: tuple[int, ...], scale: float, zero_point: int) -> Graph:
    """A network that makes its uint8 input int8."""
    m = ModelFile()
    x = m.input(shape, dtype="uint8", scale=scale, zero_point=zero_point)
    m.operator("QUANTIZE", [x], [m.tensor(shape, scale=scale, zero_point=zero_point - 128)])
    return read_model_bytes(m.build(), "m")


def test_unsigned_inputs(tmp_path: Path) -> None:
    graph = unsigned((1, 1000), 0.5, 200)
    value = load_one("random:1", graph)
    assert value.dtype == np.uint8
    assert (value.min(), value.max()) == (0, 255)
    given = np.arange(1000, dtype=np.int64).astype(np.uint8)
    np.testing.assert_array_equal(load_one(saved(tmp_path, given), graph)[0], given)
    real = (given - 200.0) * 0.5
    np.testing.assert_array_equal(load_one(saved(tmp_path, real), graph)[0], given)
    far = np.full(1000, 1e6)
    np.testing.assert_array_equal(load_one(saved(tmp_path, far), graph)[0], np.full(1000, 255))
    with pytest.raises(InputError, match=r"is int8, allowed are uint8 \(quantized values\) and"):
        load_one(saved(tmp_path, given.astype(np.int8)), graph)


@pytest.mark.parametrize(
    ("scale", "zero_point"), [(1 / 255, 0), (1.0, 0), (1 / 127.5, 128)], ids=str
)
def test_pixels_of_unsigned_inputs(tmp_path: Path, scale: float, zero_point: int) -> None:
    """A uint8 input that represents just the range of its pixels takes them as they are."""
    path, image = picture(tmp_path, "RGB")
    value = load_one(path, unsigned(SHAPE, scale, zero_point))
    difference = value[0].astype(int) - np.asarray(image, int)
    assert abs(difference).max() <= (zero_point > 0)


def picture(tmp_path: Path, mode: str, size: tuple[int, int] = (8, 9)) -> tuple[Path, Image.Image]:
    """A png of (width, height) `size` with random pixels."""
    channels = len(mode)
    pixels = np.random.default_rng(5).integers(0, 256, (size[1], size[0], channels), np.uint8)
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels, mode)
    path = tmp_path / "picture.png"
    image.save(path)
    return path, image


@pytest.mark.parametrize(
    ("scale", "zero_point", "tolerance"),
    [(1 / 255, -128, 0), (1.0, -128, 0), (2 / 255, -1, 1)],
    ids=["0..1", "0..255", "-1..1"],
)
def test_pixels_fit_the_range_of_the_input(
    tmp_path: Path, scale: float, zero_point: int, tolerance: int
) -> None:
    """Each of these inputs represents just the range of its pixels, so 0..255 is -128..127.

    An odd number of steps has no zero in the middle of -1..1: there the rounding shows.
    """
    path, image = picture(tmp_path, "RGB")
    value = load_one(path, passthrough(SHAPE, scale, zero_point)).astype(int)
    expected = np.asarray(image, int) - 128
    assert abs(value[0] - expected).max() <= tolerance


def test_image_modes_and_layouts(tmp_path: Path) -> None:
    path, image = picture(tmp_path, "RGBA")
    rgb = load_one(path, passthrough((1, 9, 8, 3), 1, -128))
    np.testing.assert_array_equal(rgb[0].astype(int) + 128, np.asarray(image.convert("RGB"), int))
    grey = load_one(path, passthrough((1, 9, 8, 1), 1, -128))
    np.testing.assert_array_equal(
        grey[0, :, :, 0].astype(int) + 128, np.asarray(image.convert("L"), int)
    )
    planes = load_one(path, passthrough((1, 3, 9, 8), 1, -128))
    np.testing.assert_array_equal(planes[0].transpose(1, 2, 0), rgb[0])


def test_image_of_another_size(graph: Graph, tmp_path: Path) -> None:
    path, _ = picture(tmp_path, "RGB", (16, 9))
    with pytest.raises(
        InputError, match=r"9 rows of 16 pixels, .* has 9 rows of 8; --resize would"
    ):
        load_one(path, graph)


@pytest.mark.parametrize("shape", [(1, 640), (1, 9, 8, 4), (2, 9, 8, 3)])
def test_network_that_takes_no_image(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path, _ = picture(tmp_path, "RGB")
    with pytest.raises(InputError, match="one picture with 1 or 3 channels expected"):
        load_one(path, passthrough(shape, 1, -128))


def test_16_bit_grey_is_scaled(tmp_path: Path) -> None:
    ramp = np.arange(72, dtype=np.uint16).reshape(9, 8) * 900
    path = tmp_path / "deep.png"
    Image.fromarray(ramp).save(path)
    value = load_one(path, passthrough((1, 9, 8, 3), 1, -128)).astype(int) + 128
    for channel in range(3):
        np.testing.assert_array_equal(value[0, :, :, channel], np.floor(ramp / 257 + 0.5))


@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "floating"), (np.int32, "32-bit int")])
def test_pixels_without_a_range_are_refused(tmp_path: Path, dtype: Any, name: str) -> None:
    path = tmp_path / "wide.tif"
    Image.fromarray(np.full((9, 8), 300, dtype)).save(path)
    with pytest.raises(InputError, match=rf"holds {name}.*, pixels of 8 or 16 bits expected"):
        load_one(path, passthrough((1, 9, 8, 1), 1, -128))


def test_a_colour_space_without_conversion_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lab.tif"
    Image.new("LAB", (8, 9)).save(path)
    with pytest.raises(InputError, match=r"is not a readable image: conversion .* not supported"):
        load_one(path, passthrough((1, 9, 8, 1), 1, -128))


def test_what_is_dropped_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, image = picture(tmp_path, "RGBA")
    load_one(path, passthrough((1, 9, 8, 3), 1, -128))
    animation = tmp_path / "two.gif"
    first = image.convert("RGB")
    first.save(animation, save_all=True, append_images=[Image.new("RGB", (8, 9))])
    load_one(animation, passthrough((1, 9, 8, 3), 1, -128))
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"image '{path}': its transparency is dropped",
        f"image '{animation}': the first of 2 frames is read",
    ]


def test_a_seed_without_end(graph: Graph) -> None:
    with pytest.raises(InputError, match=r"random:1{39}\.\.\.': .* of up to 39 digits") as caught:
        load_one("random:" + "1" * 5000, graph)
    assert len(str(caught.value)) < 200
