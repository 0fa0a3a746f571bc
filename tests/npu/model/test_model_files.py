"""What is named as a model and is no file that can be read."""

import os
from pathlib import Path

import pytest

from npu.errors import ModelError
from npu.model.tflite_reader import read_model


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read model '.*none.tflite': No such file"):
        read_model(tmp_path / "none.tflite")
    with pytest.raises(ModelError, match=r"cannot read model .*: Is a directory"):
        read_model(tmp_path)


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match=r"cannot read model '.*pipe': it is not a regular file"):
        read_model(tmp_path / "pipe")


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(ModelError, match=r"cannot read model 'm\\x00': embedded null byte"):
        read_model("m\0")
