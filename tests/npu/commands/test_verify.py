"""`npu verify`: its exit codes, what it prints and writes, and what it refuses."""

import dataclasses
import json
import re
from functools import partial
from pathlib import Path

import pytest

import npu.verify
from npu.verify import Suite, block
from npu.verify.block import NAMES, own_block
from rtl.config import NpuConfig
from sim.verilator.design import design_text
from tests.sim.configs import SMALL
from tests.support import command_line
from tests.support.planted_faults import FIRST_SWITCH

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "my_requantizer.v"
GUIDE = ROOT / "npu" / "verify" / "README.md"


@pytest.fixture(name="small")
def small_fixture(tmp_path: Path) -> Path:
    """A file of the smallest hardware."""
    defaults = NpuConfig().to_dict()
    lines = [
        f"{field.name} = {value}"
        for field in dataclasses.fields(SMALL)
        if (value := getattr(SMALL, field.name)) != defaults[field.name]
    ]
    path = tmp_path / "small.toml"
    path.write_text("\n".join(lines))
    return path


def guided() -> tuple[str, str]:
    """What the guide puts in the place of what, to make its example wrong."""
    found = re.search(r'sed "s/(.+)/(.+)/" examples/my_requantizer\.v', GUIDE.read_text())
    assert found is not None
    return found[1], found[2]


def test_a_block_of_ones_own(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide's example, right and wrong, in one build."""
    right, wrong = guided()
    text = EXAMPLE.read_text()
    assert text.count(right) == 1
    # in the netlist the constant is wrong when a register says so
    switched = f"(npu.control.timeout == 16'd{FIRST_SWITCH} ? {wrong} : {right})"
    monkeypatch.setattr(block, "read_sources", lambda paths: text.replace(right, switched))
    record = tmp_path / "record.json"
    command = ["verify", "--config", small, "--block", "requantizer", "--rtl", EXAMPLE]
    command += ["--json", record, "--waves", tmp_path / "waves"]
    assert command_line.npu(*command) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^programs, seed 15: all \d+ are right$", printed, re.M)
    found = json.loads(record.read_text())
    assert found["right"]
    assert found["block"] == "requantizer"
    assert all(aim["bits_compared"] > 1000 and not aim["first"] for aim in found["aims"])

    monkeypatch.setattr(npu.verify, "Suite", partial(Suite, bus_timeout=FIRST_SWITCH))
    assert command_line.npu(*command) == 1
    printed = capsys.readouterr().out
    assert re.search(r"^programs, seed 15: \d+ of \d+ programs are wrong$", printed, re.M)
    first = re.search(
        r"^requantizer, program 15000: the RTL differs in \d+ elements; of the earliest command"
        r" outputs\[\d+\] should be -?\d+, is -?\d+\n"
        r"  computed in cycles \d+ to \d+ by command 4 \(its y 0, x 0, c \d+\): DEPTHWISE .*\n"
        r"  stored in cycles \d+ to \d+ by command 5: STORE .*\n"
        r"  waves of cycles \d+ to \d+: (.*)\n"
        r"  block compute\.requantize\.lane\d \(module npu_compute_requantize_lane\d?\): its inputs"
        r" are right until cycle \d+, its output output there should be 0x\w+, is 0x\w+$",
        printed,
        re.M,
    )
    assert first is not None, printed
    assert Path(first[1]).parent == tmp_path / "waves"
    assert Path(first[1]).is_file()
    found = json.loads(record.read_text())
    assert not found["right"]
    (aim,) = (aim for aim in found["aims"] if aim["aim"] == "requantizer")
    assert aim["first"]["location"]["path"].startswith("compute.requantize.lane")


@pytest.mark.parametrize("name", NAMES)
def test_every_block_is_written(name: str) -> None:
    text = own_block(name, SMALL)
    assert re.search(rf"^module block_{name.replace(' ', '_')}\(", text, re.M)


BAD: dict[str, tuple[str | bytes, str]] = {
    "none": ("", r"cannot read '.*none\.v': No such file"),
    "binary": (b"\x7fELF\xff\xfe", r"'.*binary\.v' is no Verilog: it is not UTF-8 text"),
    "prose": ("hello", r"Verilator refuses .*prose\.v:1:1: syntax error, unexpected IDENTIFIER"),
    "other": ("module x(input a); endmodule", r"'.*other\.v' has no module npu"),
    "empty": (
        "module npu(input clk); endmodule",
        r"module npu lacks rst \(input of 1 bit\), .* and \d+ more",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files(
    name: str, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, message = BAD[name]
    path = tmp_path / f"{name}.v"
    if content:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    said = command_line.refusal(capsys, "verify", "-q", "--config", small, "--rtl", path)
    assert re.match(message, said), said


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("m_axi_wlast", "m_axi_wend", r"lacks m_axi_wlast \(output of 1 bit\); it has unknown "),
        (
            "output [31:0] m_axi_araddr;\n  wire [31:0]",
            "output [39:0] m_axi_araddr;\n  wire [39:0]",
            r"has other ports: m_axi_araddr is an output of 40 bits, not an output of 32 bits",
        ),
    ],
)
def test_other_ports(
    old: str,
    new: str,
    message: str,
    small: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = design_text(SMALL)
    assert old in text
    path = tmp_path / "mine.v"
    path.write_text(text.replace(old, new))
    said = command_line.refusal(capsys, "verify", "-q", "--config", small, "--rtl", path)
    assert re.match(f"module npu {message}", said), said


def test_bad_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.v"
    path.write_text("module x(input a); endmodule")
    refusal = partial(command_line.refusal, capsys, "verify", "-q")
    assert refusal("--block", "grid") == "--block NAME needs --rtl FILE.v with that block"
    said = refusal("--block", "mine", "--rtl", path)
    assert said == f"no block 'mine'; there are {', '.join(NAMES)}"
    said = refusal("--block", "grid", "--rtl", path)
    assert said == f"'{path}' has no module block_grid"
    assert "'--seed'" in refusal("--seed", "-1")
    said = refusal("--waves", path / "folder")
    assert said == f"--waves '{path / 'folder'}': Not a directory"
