"""The bench SoC runs firmware on both cores, and the NPU beside them."""

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from npu.verify.random_programs import KINDS, OUTPUT, random_program
from rtl.config import NpuConfig
from rtl.errors import ConfigError
from rtl.registers import ErrorCode, Status
from sim.binding import make_arena
from sim.errors import BuildError, SimulationError
from sim.functional import FunctionalSimulator
from sim.soc.cores import CORES
from sim.soc.firmware_build import Firmware
from sim.soc.memory_map import ARENA_BASE, CODE_BYTES, IMAGE_BYTES
from sim.soc.run import SocRunner
from tests.sim import configs
from tests.sim.soc import programs

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None
    or any(importlib.util.find_spec(core.module) is None for core in CORES.values()),
    reason="needs the optional packages: pip install -e '.[soc]'",
)

NPU = configs.RTL["small"]
cores = pytest.mark.parametrize("core", CORES)


@cache
def _runner(core: str, npu: NpuConfig | None = None, wait_states: int = 0) -> SocRunner:
    return SocRunner(core, npu, wait_states)


@cores
def test_console_markers_image_and_exit_code(core: str, tmp_path: Path) -> None:
    firmware = programs.compile_program(core, programs.HELLO, tmp_path)
    result = _runner(core, None, 2).run(firmware, b"\x78\x56\x34\x12")
    assert result.console == "hello\n"
    assert [marker.value for marker in result.markers] == [2]
    assert 0 < result.markers[0].cycle < result.cycles
    assert result.read(ARENA_BASE, 8) == b"\x07\0\0\0\x78\x56\x34\x12"
    assert result.exit_code == 3
    assert result.code_bytes == len(firmware.code) > 100
    assert firmware.static_bytes == 8
    # a program this small may get by on registers
    assert 0 <= result.stack_bytes < 4096


@cores
def test_every_run_starts_from_reset(core: str, tmp_path: Path) -> None:
    firmware = programs.compile_program(core, programs.HELLO, tmp_path)
    first, second = (_runner(core).run(firmware) for _ in range(2))
    assert (first.cycles, first.markers) == (second.cycles, second.markers)


@cores
def test_arithmetic(core: str, tmp_path: Path) -> None:
    result = _runner(core).run(programs.compile_program(core, programs.ARITHMETIC, tmp_path))
    found = np.frombuffer(result.read(ARENA_BASE, 4 * 8 * 64), "<u4").reshape(8, 8, 8)
    values = [1, -1, 123456789, -987654321, 0x7FFFFFFF, -(2**31), 17, -3]
    for i, a in enumerate(values):
        for j, b in enumerate(values):
            unsigned_a, unsigned_b = a % 2**32, b % 2**32
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            expected = [
                a * b,
                a * b >> 32,
                unsigned_a * unsigned_b >> 32,
                0 if b == -1 else quotient,
                0 if b == -1 else a - quotient * b,
                unsigned_a // unsigned_b,
                a >> (b & 31),
                int(a < b),
            ]
            assert [value % 2**32 for value in expected] == found[i, j].tolist(), (a, b)


@cores
def test_narrow_stores(core: str, tmp_path: Path) -> None:
    result = _runner(core).run(programs.compile_program(core, programs.BYTES, tmp_path))
    assert list(result.read(ARENA_BASE, 16)) == [i * 17 for i in range(16)]
    halves = np.frombuffer(result.read(ARENA_BASE + 16, 16), "<u2")
    assert halves.tolist() == [i * 4097 % 65536 for i in range(8)]


def test_wait_states_cost_cycles_per_transaction(tmp_path: Path) -> None:
    firmware = programs.compile_program("vexriscv", programs.MEMORY_WALK, tmp_path)
    runs = [_runner("vexriscv", None, n).run(firmware) for n in (0, 1, 5)]
    reads = [run.cycles_between(1, 2) for run in runs]
    # a cache line of 32 bytes is one transaction; the loop's own lines are cached
    assert reads[1] - reads[0] == pytest.approx(128, abs=8)
    assert reads[2] - reads[0] == pytest.approx(5 * 128, abs=40)
    # stores are posted: only long waits show
    slow = [_runner("vexriscv", None, n).run(firmware).cycles_between(2, 3) for n in (20, 50)]
    assert slow[1] - slow[0] == pytest.approx(30 * 256, rel=0.02)


def test_a_core_without_caches_pays_on_every_access(tmp_path: Path) -> None:
    firmware = programs.compile_program("cv32e40p", programs.MEMORY_WALK, tmp_path)
    fast, slow = (_runner("cv32e40p", None, n).run(firmware) for n in (0, 3))
    assert slow.cycles_between(1, 2) > 2 * fast.cycles_between(1, 2)


@cores
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (programs.ILLEGAL_INSTRUCTION, r"trapped at 0x0000\w+ with mcause 2; cycle \d+"),
        (programs.WRITE_TO_IMAGE, r"accessed 0x10000040, where nothing is that allows it"),
        (programs.READ_NOWHERE, r"accessed 0x40000000, where nothing is"),
        (programs.READ_NPU, r"accessed 0x90000000, where nothing is"),
        (programs.HANG, r"did not exit within 20000 cycles on \w+; .* marker 9 in cycle"),
    ],
    ids=["trap", "write to image", "read nowhere", "no npu", "hang"],
)
def test_wrong_firmware(core: str, text: str, message: str, tmp_path: Path) -> None:
    firmware = programs.compile_program(core, text, tmp_path)
    with pytest.raises(SimulationError, match=message):
        _runner(core).run(firmware, max_cycles=20_000)


@cores
@pytest.mark.parametrize("wait_states", [0, 3])
def test_npu_beside_the_core(core: str, wait_states: int, tmp_path: Path) -> None:
    firmware = programs.compile_program(core, programs.NPU_PROGRAM, tmp_path)
    runner = _runner(core, NPU, wait_states)
    for seed in (11, 12):
        program, inputs = random_program(NPU, seed, tuple(KINDS), size=6)
        arena = make_arena(program, inputs).tobytes()
        constants = program.constants.tobytes()
        image = programs.npu_image(program.commands.tobytes(), constants, arena)
        result = runner.run(firmware, image, max_cycles=2_000_000)
        assert Status(result.exit_code & 0xFF) == Status.DONE
        assert result.exit_code >> 8 == 1
        binding = program.outputs[0]
        found = np.frombuffer(result.read(ARENA_BASE + binding.offset, binding.size), np.int8)
        expected = FunctionalSimulator(NPU).run(program, inputs).outputs[OUTPUT]
        np.testing.assert_array_equal(found, expected.ravel(), err_msg=f"seed {seed}")


@pytest.mark.parametrize(
    ("region", "base", "code"),
    [
        ("CONSTANTS", "0x40000000", ErrorCode.READ_BUS),
        ("ARENA", "IMAGE_BASE + 0x800000", ErrorCode.WRITE_BUS),
        ("ARENA", "CODE_BASE", ErrorCode.WRITE_BUS),
    ],
)
def test_the_npu_gets_an_error_where_it_may_not_go(
    region: str, base: str, code: ErrorCode, tmp_path: Path
) -> None:
    """Nothing is at the first address; image and code are read-only."""
    text = (
        programs.NPU_PROGRAM.replace(
            "mark(1);",
            f"WORD(NPU_BASE + NPU_REGION_BASE_{region}) = {base};\n    mark(1);",
        )
        .replace("mark(2);", "mark(WORD(NPU_BASE + NPU_ERROR_CODE));")
        .replace("CODE_BASE", "0")
    )
    firmware = programs.compile_program("vexriscv", text, tmp_path)
    program, inputs = random_program(NPU, 11, tuple(KINDS), size=6)
    pieces = (program.commands, program.constants, make_arena(program, inputs))
    image = programs.npu_image(*(piece.tobytes() for piece in pieces))
    result = _runner("vexriscv", NPU).run(firmware, image, max_cycles=2_000_000)
    assert Status(result.exit_code & 0xFF) == Status.ERROR
    assert [marker.value for marker in result.markers] == [1, code]


def test_what_does_not_fit_is_refused() -> None:
    runner = _runner("vexriscv")
    with pytest.raises(SimulationError, match=r"code is 1048577 bytes, its memory 1048576"):
        runner.run(Firmware(bytes(CODE_BYTES + 1), 0, "", ""))
    with pytest.raises(SimulationError, match=r"image is 16777217 bytes, its memory 16777216"):
        runner.run(Firmware(b"", 0, "", ""), bytes(IMAGE_BYTES + 1))


@pytest.mark.parametrize(
    ("core", "wait_states", "message"),
    [
        ("m0", 0, r"unknown core 'm0', known are vexriscv, cv32e40p"),
        ("vexriscv", 256, r"wait_states must be between 0 and 255, got 256"),
        ("vexriscv", -1, r"wait_states must be between 0 and 255, got -1"),
        ("vexriscv", True, r"wait_states must be an integer, got True"),
    ],
)
def test_illegal_settings(core: str, wait_states: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SocRunner(core, None, wait_states)


def test_markers_out_of_order(tmp_path: Path) -> None:
    result = _runner("vexriscv").run(
        programs.compile_program("vexriscv", programs.MEMORY_WALK, tmp_path)
    )
    with pytest.raises(SimulationError, match=r"no marker 1 after a marker 3"):
        result.cycles_between(3, 1)


def test_a_missing_core_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.soc.cores.importlib.util.find_spec", lambda name: None)
    with pytest.raises(BuildError, match=r"pythondata-cpu-vexriscv not found: install it with"):
        SocRunner("vexriscv", None)
