"""The examples run, and say what they are to show."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from npu import zoo

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
SHOWN = {
    "cycles_per_layer.py": (
        r"^CONV_2D +NPU +1670 MACs$",
        r"^SOFTMAX +CPU +- ?$",
        r"^47,631 cycles, utilization 78\.5%$",
        r"^bit-exact with TFLM: True$",
    ),
    "compare_hardware.py": (
        r"^ +2 +64 +161,707 +92\.5%$",
        r"^ +8 +256 +47,631 +78\.5%$",
        r"^with ten times the memory latency: 163,\d{3} cycles$",
    ),
    "offload_an_operator.py": (
        r"^with a kernel alone: \{0: 'CUSTOM:GELU is not an NPU operator'\}$",
        r"^with a rule, 8 rows: \['NPU'\]$",
        r"^with a rule, 128 rows: \['CPU'\]$",
        r"^what the rule says: GELU is for maps of up to 4096 pixels$",
        r"^[\d,]+ cycles on the NPU, the same bits as the kernel: True$",
    ),
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_example(name: str, tmp_path: Path) -> None:
    """As a user runs it: from the checkout, or from elsewhere with a model of their own."""
    lines = run([f"examples/{name}"], ROOT)
    for expected in SHOWN[name]:
        assert re.search(expected, lines, re.M), f"{expected} is not in\n{lines}"
    if "[MODEL.tflite]" in (EXAMPLES / name).read_text(encoding="utf-8"):
        assert run([str(EXAMPLES / name), str(zoo.model_path())], tmp_path) == lines


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
