"""What a hardware project takes in, read by the tools that it is written for."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from systemrdl.compiler import RDLCompiler
from systemrdl.node import AddrmapNode, FieldNode, RegNode

from rtl.config import PRESETS
from rtl.isa import REGIONS
from rtl.package import fusesoc_core, lpf_constraints, package_files, sdc_constraints, write_package
from rtl.registers import (
    DEFAULT_TIMEOUT,
    ID_VALUE,
    Control,
    ErrorCode,
    Register,
    Status,
    counted_events,
    event_counter,
)
from rtl.systemrdl import systemrdl
from rtl.verilog import VerilogError
from tests.sim import configs

CONFIG = replace(PRESETS["npu64"], counters=4)


@pytest.fixture(name="registers", scope="module")
def registers_fixture(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RegNode]:
    """Every register as `systemrdl-compiler` has it, by name; of an array the first."""
    path = tmp_path_factory.mktemp("rdl") / "npu.rdl"
    path.write_text(systemrdl(CONFIG))
    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    top = compiler.elaborate().top
    assert isinstance(top, AddrmapNode)
    return {node.inst_name: node for node in top.registers()}


def test_every_register_is_where_the_hardware_has_it(registers: dict[str, RegNode]) -> None:
    offsets = {
        name: node.raw_address_offset if node.is_array else node.address_offset
        for name, node in registers.items()
    }
    expected = {one.name: int(one) for one in Register if one is not Register.EVENTS}
    expected |= {f"EVENT_{one.name}": event_counter(one) for one in counted_events(CONFIG)}
    assert offsets == expected
    for name in ("REGION_BASE", "REGION_SIZE"):
        assert registers[name].array_dimensions == [REGIONS]
        assert registers[name].array_stride == 4


def field(register: RegNode, name: str) -> FieldNode:
    found = register.get_child_by_name(name)
    assert isinstance(found, FieldNode)
    return found


def test_fields(registers: dict[str, RegNode]) -> None:
    def bits(register: str) -> dict[str, int]:
        return {f.inst_name: 1 << f.low for f in registers[register].fields()}

    assert bits("CONTROL") == {one.name: int(one) for one in Control}
    assert bits("STATUS") == {one.name: int(one) for one in Status}
    assert field(registers["ID"], "VALUE").get_property("reset") == ID_VALUE
    assert field(registers["CONFIG_ID"], "VALUE").get_property("reset") == CONFIG.config_id
    timeout = field(registers["BUS_TIMEOUT"], "UNITS")
    assert (timeout.width, timeout.get_property("reset")) == (16, DEFAULT_TIMEOUT)
    codes = field(registers["ERROR_CODE"], "CODE").get_property("encode")
    assert codes is not None
    assert {one.name: one.value for one in codes} == {c.name: int(c) for c in ErrorCode}


@pytest.mark.parametrize(
    ("name", "readable", "writable"),
    [
        ("ID", True, False),
        ("CONTROL", False, True),
        ("STATUS", True, False),
        ("IRQ_ENABLE", True, True),
        ("REGION_BASE", True, True),
        ("EVENT_CYCLES", True, False),
    ],
)
def test_access(registers: dict[str, RegNode], name: str, readable: bool, writable: bool) -> None:
    node = registers[name]
    assert (node.has_sw_readable, node.has_sw_writable) == (readable, writable)


def test_fusesoc_reads_the_core_and_finds_every_file(tmp_path: Path) -> None:
    config = configs.RTL["small"]
    written = write_package(config, tmp_path / "npu", "1.2.3", 50.0)
    assert {path.name for path in written} >= {"npu.v", "npu.core", "npu_driver.c", "npu.toml"}
    command = [sys.executable, "-m", "fusesoc.main", "--cores-root", str(tmp_path / "npu"), "run"]
    for target in ("lint", "ecp5"):
        done = subprocess.run(
            [*command, "--setup", f"--target={target}", "npu-codesign:npu:npu:1.2.3"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    (eda,) = (tmp_path / "build").rglob("lint*/*.eda.yml")
    text = eda.read_text()
    assert "npu.v" in text
    assert "toplevel: npu" in text


def test_the_core_names_only_files_of_the_package() -> None:
    files = package_files(configs.RTL["small"], "unknown", 100.0)
    assert "name: npu-codesign:npu:npu:0\n" in files["npu.core"]
    named = [
        line.split(":")[0][8:] for line in files["npu.core"].splitlines() if "file_type" in line
    ]
    assert set(named) <= files.keys()
    assert len(named) == len(files) - 3  # the core itself, npu.toml, INTEGRATION.md
    assert fusesoc_core(CONFIG, "1", []).startswith("CAPI=2:\n")


def test_constraints_have_the_clock() -> None:
    sdc = sdc_constraints(80.0)
    assert "create_clock -name clk -period 12.500 [get_ports clk]" in sdc
    assert "set_input_delay -clock clk 2.500 " in sdc
    assert 'FREQUENCY PORT "clk" 80 MHZ;' in lpf_constraints(80.0)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(VerilogError, match=r"cannot write '.*file/npu.v': "):
        write_package(configs.RTL["small"], tmp_path / "file", "1", 100.0)
