"""What is said of files that TFLM runs, that it refuses, and that only it runs."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from npu import golden, survey
from npu.errors import GoldenError
from npu.survey import judge
from npu.tflm_process import TflmProcess
from rtl.config import NpuConfig
from tests.npu.small_model import classifier
from tests.support.random_layers import random_conv2d
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile


def tiled() -> bytes:
    m = ModelFile()
    m.operator("TILE", [m.input((1, 4), scale=0.5)], [m.tensor((1, 4), scale=0.5)])
    return m.build()


def float_model() -> bytes:
    m = ModelFile()
    m.operator("RELU", [m.input((1, 4), dtype="float32")], [m.tensor((1, 4), "float32")])
    return m.build()


def test_everything_is_bit_exact() -> None:
    verdict = judge(classifier())
    assert verdict.ran
    assert dict(verdict.failures) == {}
    assert list(verdict.cycles) == ["npu32", "npu64", "npu256"]
    assert min(verdict.cycles.values()) > 0
    assert verdict.npu_share == 1.0
    assert not verdict.cpu_macs


def test_reasons_by_macs() -> None:
    """A single output row is larger than the smallest scratchpad."""
    m = ModelBuilder()
    x = m.input((1, 1, 4000, 32), scale=0.1, zero_point=3)
    model = m.build([random_conv2d(m, np.random.default_rng(1), x, 8, kernel=(1, 1))])
    verdict = judge(model, {"tiny": NpuConfig(scratchpad_kib=4)}, ["functional"])
    assert dict(verdict.failures) == {}
    assert (verdict.npu_macs, verdict.npu_share) == (0, 0.0)
    ((reason, macs),) = verdict.cpu_macs.items()
    assert reason.startswith("CONV_2D: tensor too large for any tiling")
    assert macs == verdict.macs == 4000 * 32 * 8
    assert not verdict.cycles


def test_what_tflm_refuses() -> None:
    verdict = judge(tiled())
    assert not verdict.ran
    assert "TILE" in verdict.golden
    assert not verdict.failures


def test_what_only_tflm_runs() -> None:
    verdict = judge(float_model())
    assert verdict.ran
    assert list(verdict.failures) == ["reading"]
    refused = judge(b"\0\0\0\0TFL3")
    assert not refused.ran
    assert "schema version 0, 3 expected" in refused.failures["reading"]


def test_without_an_interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That says nothing about any file."""
    (tmp_path / "tflite_micro.py").write_text("raise ImportError('none here')")
    process = TflmProcess(path=[str(tmp_path), *sys.path])
    for module in ("npu.survey", "npu.golden"):
        monkeypatch.setattr(f"{module}.PROCESS", process)
    for model in (float_model(), classifier()):
        with pytest.raises(GoldenError, match="package tflite-micro"):
            judge(model)
    process.close()


def test_a_difference_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = golden.run_golden

    def dishonest(*arguments: Any) -> dict[int, Any]:
        return {t: np.bitwise_xor(v, np.int8(1)) for t, v in honest(*arguments).items()}

    monkeypatch.setattr(survey, "run_golden", dishonest)
    verdict = judge(classifier(), {"npu": NpuConfig()}, ["reference", "functional"])
    assert list(verdict.failures) == ["reference", "functional npu"]
    assert "values differ, first at" in verdict.failures["reference"]


def test_hardware_that_rounds_otherwise() -> None:
    """It is compared with the kernels, and the reference, which they are, with nothing."""
    single = {"single": NpuConfig(rounding="single")}
    assert dict(judge(classifier(), single).failures) == {}


def test_an_error_here_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise GoldenError("broken on purpose")

    monkeypatch.setattr(survey, "infer", broken)
    verdict = judge(classifier(), {"npu": NpuConfig()}, ["cycle"])
    assert dict(verdict.failures) == {"cycle npu": "broken on purpose"}
    assert verdict.macs == 0
