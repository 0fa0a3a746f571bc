"""Files of inputs that are damaged or hostile: one line each, and nothing of a claimed size."""

from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile

import numpy as np
import pytest
from PIL import Image

from npu.errors import InputError
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from tests.npu.small_model import classifier

SHAPE = (1, 9, 8, 3)


@pytest.fixture(name="graph")
def graph_fixture() -> Graph:
    return read_model_bytes(classifier(), "m")


def header(shape: tuple[int, ...], version: int = 1) -> bytes:
    """The header of a .npy file with int8 of this shape."""
    text = f"{{'descr': '|i1', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text


def compressed(content: bytes, method: int = ZIP_DEFLATED) -> bytes:
    """A .npz file with one array in a member that does not decompress."""
    file = BytesIO()
    with ZipFile(file, "w", method) as archive:
        archive.writestr("x.npy", content)
    data = bytearray(file.getvalue())
    data[45:60] = bytes(15)
    return bytes(data)


HOSTILE = {
    "huge.npy": (header((1, 9, 8, 1 << 40)), r"has shape \[1, 9, 8, 1099511627776\]"),
    "short.npy": (header(SHAPE), "it ends after 0 of 216 bytes"),
    "tokens.npy": (header(SHAPE).replace(b"'shape'", b"'shape("), "is not a readable numpy file"),
    "long.npy": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(99), "is not a readable numpy"),
    "version.npy": (header(SHAPE, 3), r"its format version is \(3, 0\)"),
    "corrupt.npz": (compressed(header(SHAPE) + bytes(216)), "is not a readable numpy file"),
    "lzma.npz": (compressed(header(SHAPE) + bytes(216), ZIP_LZMA), "is not a readable numpy file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(graph: Graph, tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_inputs([tmp_path / name], graph)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png"])
def test_a_name_that_no_file_can_have(graph: Graph, suffix: str) -> None:
    with pytest.raises(InputError, match="File name too long"):
        load_inputs(["x" * 300 + suffix], graph)


def test_a_picture_too_large_for_its_library_warns_of_nothing(graph: Graph, tmp_path: Path) -> None:
    """Warnings are errors here: at the command line they would be two lines before the message."""
    path = tmp_path / "large.png"
    rows = Image.MAX_IMAGE_PIXELS // 1000 + 1 if Image.MAX_IMAGE_PIXELS else 0
    Image.fromarray(np.zeros((1, 1), np.uint8)).resize((1000, rows)).save(path)
    with pytest.warns(Image.DecompressionBombWarning), Image.open(path):
        pass
    with pytest.raises(InputError, match=f"has {rows} rows of 1000 pixels, the network's input"):
        load_inputs([path], graph)
