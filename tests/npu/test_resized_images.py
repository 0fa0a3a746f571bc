"""Photographs of any size as inputs, with `--resize`."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npu import cli
from npu.errors import InputError
from npu.input_files import TURN, read_image
from tests.npu.small_model import classifier

# rows and columns, three of each colour: red, green, blue from left to right
STRIPES = np.repeat(np.repeat(np.eye(3, dtype=np.uint8)[None] * 255, 12, axis=0), 8, axis=1)


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


def test_the_middle_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """12 x 24 for 4 x 4: the green middle and half of what is beside it."""
    path = save(tmp_path / "x.png", STRIPES)
    with caplog.at_level(logging.WARNING):
        pixels = read_image(path, 4, 4, 3, resize=True)
    assert [record.getMessage() for record in caplog.records] == [
        f"image '{path}': of 12 rows of 24 pixels the middle 12 x 12 are taken, and scaled to 4 x 4"
    ]
    assert pixels.shape == (4, 4, 3)
    assert (pixels[:, 1:3, 1] > 250).all()
    assert (pixels[:, 0, 0] > 100).all()
    assert (pixels[:, 3, 2] > 100).all()
    assert (pixels[:, 0, 2] == 0).all()


def test_the_right_size_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = save(tmp_path / "x.png", STRIPES)
    with caplog.at_level(logging.WARNING):
        pixels = read_image(path, 12, 24, 3, resize=True)
    assert (pixels == STRIPES).all()
    assert caplog.records == []


def test_a_photograph_is_turned_as_it_was_held(tmp_path: Path) -> None:
    exif = Image.Exif()
    # to be seen as it was, it has to be turned by 90 degrees clockwise
    exif[TURN] = 6
    path = save(tmp_path / "x.png", STRIPES, exif=exif)
    pixels = read_image(path, 24, 12, 3, resize=True)
    assert (pixels == np.rot90(STRIPES, -1)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_too(tmp_path: Path, channels: int) -> None:
    ramp = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 64
    path = save(tmp_path / "x.png", ramp)
    pixels = read_image(path, 8, 8, channels, resize=True)
    assert pixels.shape == (8, 8, channels)
    assert abs(pixels.mean() - ramp.mean() / 257) < 0.5
    assert (np.diff(pixels[:, 4, 0]) > 0).all()


def test_without_the_option_it_is_offered(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", STRIPES)
    with pytest.raises(InputError, match=r"has 12 rows of 24 pixels.*; --resize would scale it"):
        read_image(path, 4, 4, 3)


def test_the_command_says_what_it_did(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, out = tmp_path / "m.tflite", tmp_path / "o.json"
    model.write_bytes(classifier())
    image = save(tmp_path / "x.png", STRIPES)
    words = ("run", str(model), "--backend", "reference", "--input", str(image), "--check")
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, "--resize", "--quiet", "--json", str(out)])
    assert caught.value.code == 0
    assert "are taken, and scaled to 9 x 8" in caplog.text
    record = json.loads(out.read_text())
    assert (record["resized"], record["bit_exact"]) == (True, True)
