"""The examples run, and say what they are to show."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import npu
from npu import zoo

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def cycles_per_layer() -> list[str]:
    result = npu.run(npu.load(zoo.model_path()), "random:1", config="npu256")
    return [
        rf"^CONV_2D +NPU +{result.layers[0].cycles} MACs$",
        r"^SOFTMAX +CPU +- ?$",
        rf"^{result.cycles:,} cycles, utilization {result.utilization:.1%}$",
        r"^bit-exact with TFLM: True$",
    ]


def compare_hardware() -> list[str]:
    network, base = npu.load(zoo.model_path()), npu.PRESETS["npu64"]
    wide, slow = replace(base, pixels=8), npu.MemoryConfig(latency_cycles=200)
    fast = npu.run(network, config=wide)
    return [
        rf"^ +2 +64 +{npu.run(network, config=base).cycles:,} +\d\d\.\d%$",
        rf"^ +8 +256 +{fast.cycles:,} +{fast.utilization:.1%}$",
        rf"^with .* latency: {npu.run(network, config=base, memory=slow).cycles:,} cycles$",
    ]


def offload_an_operator() -> list[str]:
    return [
        r"^with a kernel alone: \{0: 'CUSTOM:GELU is not an NPU operator'\}$",
        r"^with a rule, 8 rows: \['NPU'\]$",
        r"^with a rule, 128 rows: \['CPU'\]$",
        r"^what the rule says: GELU is for maps of up to 4096 pixels$",
        r"^[\d,]+ cycles on the NPU, the same bits as the kernel: True$",
    ]


SHOWN = {
    f"{made.__name__}.py": made
    for made in (cycles_per_layer, compare_hardware, offload_an_operator)
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_example(name: str, tmp_path: Path) -> None:
    """As a user runs it: from the checkout, or from elsewhere with a model of their own."""
    lines = run([f"examples/{name}"], ROOT)
    for expected in SHOWN[name]():
        assert re.search(expected, lines, re.M), f"{expected} is not in\n{lines}"
    if "[MODEL.tflite]" in (EXAMPLES / name).read_text(encoding="utf-8"):
        assert run([str(EXAMPLES / name), str(zoo.model_path())], tmp_path) == lines


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
