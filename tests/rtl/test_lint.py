"""Verilator's linter finds nothing in the generated Verilog but what `rtl/lint.vlt` waives."""

from pathlib import Path

import pytest

import rtl
from rtl.config import PRESETS
from sim.errors import BuildError
from sim.verilator.design import design_text
from sim.verilator.toolchain import find_toolchain, run
from tests.sim import configs

WAIVERS = Path(rtl.__file__).parent / "lint.vlt"


def _lint(text: str, folder: Path) -> None:
    source = folder / "npu.v"
    source.write_text(text, encoding="utf-8")
    tools = find_toolchain()
    verilator = str(tools.verilator_root / "bin" / "verilator_bin")
    run(
        [verilator, "--lint-only", "-Wall", "--top-module", "npu", str(WAIVERS), str(source)],
        {"VERILATOR_ROOT": str(tools.verilator_root)},
    )


@pytest.mark.parametrize("name", ["small", "decoding", "npu64"])
def test_the_design_is_clean(name: str, tmp_path: Path) -> None:
    _lint(design_text({**configs.RTL, "npu64": PRESETS["npu64"]}[name]), tmp_path)


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("wire lost; assign o = lost;", "UNDRIVEN"),
        ("reg kept; always @* if (rst) kept = clk; assign o = kept;", "LATCH"),
        (
            "reg twice; assign o = twice; always @(posedge clk) twice <= rst;"
            " always @(negedge clk) twice <= ~rst;",
            "MULTIDRIVEN",
        ),
        ("wire a = b ^ clk; wire b = a & rst; assign o = b;", "Example path"),
        ("missing other(.clk(clk)); assign o = rst;", r"missing\.sv"),
    ],
)
def test_faults_are_not_waived(fault: str, rule: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=rule):
        _lint(f"module npu(input clk, input rst, output o);\n{fault}\nendmodule\n", tmp_path)
