"""`npu check`: files and folders of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npu import golden, survey
from tests.npu.small_model import classifier
from tests.npu.test_survey import float_model, tiled
from tests.support.command_line import npu


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    inner = tmp_path / "models" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "models" / "a.tflite").write_bytes(classifier())
    (inner / "b.tflite").write_bytes(tiled())
    (tmp_path / "models" / "notes.txt").write_text("no model")
    return tmp_path / "models"


def test_a_folder(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.toml").write_text('preset = "npu64"\nscratchpad_kib = 64\n')
    out = tmp_path / "o.json"
    assert npu("check", folder, folder / "a.tflite", "--config", "npu32", "--json", out) == 0
    text = capsys.readouterr().out
    assert "TFLM does not run it" in text
    assert "1 of 1 files that TFLM runs are bit-exact on every backend; TFLM refuses 1" in text
    record = json.loads(out.read_text())
    assert list(record) == [str(folder / "a.tflite"), str(folder / "inner" / "b.tflite")]
    first, second = record.values()
    assert list(first["cycles"]) == ["a.toml"]
    assert "TILE" in second["golden"]


def test_a_difference_exits_1(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = golden.run_golden

    def dishonest(*arguments: Any) -> dict[int, Any]:
        return {t: np.bitwise_xor(v, np.int8(1)) for t, v in honest(*arguments).items()}

    monkeypatch.setattr(survey, "run_golden", dishonest)
    monkeypatch.setenv("COLUMNS", "200")
    options = ("--backend", "reference", "--backend", "functional", "--json", "-")
    assert npu("check", folder / "a.tflite", *options) == 1
    captured = capsys.readouterr()
    assert list(json.loads(captured.out)[str(folder / "a.tflite")]["failures"]) == [
        "reference",
        "functional npu256",
    ]
    said = " ".join(captured.err.split())
    assert "NO: reference: tensor" in said
    assert "(and 1 more)" in said


def test_a_model_that_only_tflm_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "float.tflite"
    path.write_bytes(float_model())
    assert npu("check", path) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "NO: reading:" in text
    assert "0 of 1 files that TFLM runs" in text


def test_bad_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        ((tmp_path / "none",), "none': no such file or folder"),
        (("/dev/null",), "'/dev/null': is not a regular file"),
        ((tmp_path,), "holds no .tflite file"),
        ((tmp_path, "--backend", "fpga"), "'fpga' is not one of reference, functional, cycle, rtl"),
        ((tmp_path, "--config", "npu7"), "no preset or configuration file 'npu7'"),
        ((), "Missing argument"),
    ):
        assert npu("check", *arguments) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err
        assert len(captured.err.splitlines()) == 1
