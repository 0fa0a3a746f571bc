"""The notebook runs from its first cell to its last, and its figures are those of the tool."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import npu
from tests.support.training import NO_TRAINING

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "examples" / "keras_to_npu.ipynb"


def cells(path: Path) -> list[dict[str, Any]]:
    """The cells with code."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_is_kept_without_outputs() -> None:
    """So that no figure in it can be one of yesterday."""
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in cells(NOTEBOOK))


# TensorFlow, and a simulator that may have to be built
@pytest.mark.timeout(900)
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("tensorflow", "sklearn", "ziglang")),
    reason=NO_TRAINING,
)
def test_the_notebook(tmp_path: Path) -> None:
    target = tmp_path / "executed.ipynb"
    command = [sys.executable, "-m", "tests.support.notebooks", NOTEBOOK, target, tmp_path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = "".join(
        line for cell in cells(target) for made in cell["outputs"] for line in made.get("text", ())
    )
    accuracy = re.search(r"accuracy of the float network: ([\d.]+)%", printed)
    assert accuracy is not None
    assert float(accuracy[1]) > 85
    right = re.search(r"right on the NPU: (\d+) of 100", printed)
    assert right is not None
    assert int(right[1]) > 80
    assert "bit-exact with TFLM: True" in printed
    network = npu.load(tmp_path / "build" / "digits.tflite")
    result = npu.run(network, config="npu256")
    assert result.cycles is not None
    assert f"{result.cycles:,} cycles, utilization {result.utilization:.1%}" in printed
    assert re.search(r"npu256: [\d.,]+x over optimized on VexRiscv", printed)
    half, slower = (
        int(found.replace(",", ""))
        for found in re.findall(r"4 pixels.* MACs/cycle +([\d,]+) cycles", printed)
    )
    assert result.cycles < half < slower
    assert "module npu(" in (tmp_path / "build" / "npu.v").read_text(encoding="utf-8")
