"""`npu run --check` on hardware that does not round as TFLM does."""

from pathlib import Path

import pytest

from tests.npu.small_model import classifier
from tests.support.command_line import npu, refusal


@pytest.fixture(name="arguments")
def arguments_fixture(tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "m.tflite").write_bytes(classifier())
    (tmp_path / "c.toml").write_text('preset = "npu256"\nrounding = "half_up"\n')
    return "run", tmp_path / "m.tflite", "--config", tmp_path / "c.toml", "--check"


def test_check_compares_with_kernels_of_the_same_rounding(
    arguments: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert npu(*arguments, "--backend", "functional") == 0
    text = capsys.readouterr().out
    assert "bit-exact with the kernels (half_up rounding): 1 of 1 outputs and every" in text


def test_reference_has_nothing_to_be_compared_with(
    arguments: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(capsys, *arguments, "--backend", "reference") == (
        "--check has nothing to compare the reference with: TFLM rounds as double, not as half_up"
    )
