"""`npu demo` on the functional backend: the tables, the check and the exit codes."""

import re
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from npu import cli, golden, zoo
from npu.commands import demo
from npu.commands.progress import step_log
from npu.golden import Comparison, Mismatch

IMAGES = 3


def run(*arguments: str) -> Result:
    """`npu demo ARGUMENTS` on the functional backend, in this process."""
    return CliRunner().invoke(cli.app, ["demo", "--backend", "functional", *arguments])


@pytest.fixture(name="text", scope="module")
def text_fixture() -> str:
    result = run("--images", str(IMAGES))
    assert result.exit_code == 0, result.output
    return result.output


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table whose first column is `heading`, without heading and footer."""
    lines = text.splitlines()
    (start,) = (i for i, line in enumerate(lines) if re.match(rf"\s*{heading}\s", line))
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines[start:]]
    return [row for row in cells[: cells.index([""])] if row[0].isdigit()]


def test_operators_of_one_image(text: str) -> None:
    record = zoo.load_record(demo.NETWORK)
    table = rows(text, "#")
    assert [row[1] for row in table] == record["operators"]
    on_cpu = {row[1] for row in table if row[2].startswith("CPU")}
    assert on_cpu <= {"SOFTMAX", "RESHAPE"}
    assert f"{record['macs']:,}" in text


def test_images_with_predicted_class_beside_the_label(text: str) -> None:
    recorded = zoo.load_record(demo.NETWORK)["images"]
    _, _, names = zoo.load_images()
    table = rows(text, "image")
    assert [row[:3] for row in table] == [
        [str(i), names[recorded["label"][i]], names[recorded["int8_predicted"][i]]]
        for i in range(IMAGES)
    ]
    assert {row[-1] for row in table} == {"yes"}


def test_bit_exact_line_covers_every_image(text: str) -> None:
    each = len(zoo.load_record(demo.NETWORK)["operators"]) - 1
    assert text.splitlines()[-1] == (
        f"bit-exact with TFLM: {IMAGES} of {IMAGES} outputs and every intermediate tensor "
        f"({IMAGES * each} of {IMAGES * each})"
    )


def test_difference_is_told_and_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = golden.run_golden

    def dishonest(*arguments: Any) -> dict[int, Any]:
        return {t: np.bitwise_xor(v, np.int8(1)) for t, v in honest(*arguments).items()}

    monkeypatch.setattr(golden, "run_golden", dishonest)
    result = run("--images", "1")
    assert result.exit_code == demo.EXIT_NOT_BIT_EXACT
    assert "NOT bit-exact with TFLM: 0 of 1 outputs" in result.output
    assert [row[-1] for row in rows(result.output, "image")] == ["NO"]


@pytest.mark.parametrize("count", ["0", "21"])
def test_number_of_images_is_bounded(count: str) -> None:
    result = run("--images", count)
    assert result.exit_code == 2
    assert "Invalid value for '--images'" in result.output


def test_comparisons_are_added() -> None:
    mismatch = Mismatch(tensor=3, name="t", count=1, size=4, position=(0,), expected=1, actual=2)
    one = Comparison(1, 1, 5, 5, 6, ())
    other = Comparison(0, 1, 4, 5, 6, (mismatch,))
    total = demo.sum_comparisons([one, other])
    assert total == Comparison(1, 2, 9, 10, 12, (mismatch,))
    assert not total.bit_exact


def test_step_log_names_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    step_log("building")("compiling C++ (1 of 2)")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r" +0 s  building: compiling C\+\+ \(1 of 2\)\n", captured.err)
