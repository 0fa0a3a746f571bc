"""Cross-compiling firmware: compilers that are missing or fail, and what they make."""

import importlib.util
import shutil
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from sim.cache import cache_folder
from sim.errors import BuildError
from sim.soc import memory_map
from sim.soc.build import hardware_sources
from sim.soc.cores import CORES, CV32E40P, VEXRISCV, Core, core_sources, core_version
from sim.soc.elf import load_elf
from sim.soc.firmware.headers import KERNEL_SETS
from sim.soc.firmware_build import (
    START_FILES,
    build_firmware,
    compile_flags,
    find_compiler,
    network_firmware,
    network_firmware_key,
)
from tests.sim.soc import programs

needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="needs ziglang (extra soc)"
)
needs_gcc = pytest.mark.skipif(
    shutil.which("riscv64-unknown-elf-gcc") is None, reason="needs riscv64-unknown-elf-gcc"
)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.soc.firmware_build.importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        (None, r"found \(neither ziglang nor riscv64-unknown-elf-gcc\)"),
        ("zig", r"found \(no ziglang\)"),
        ("gcc", r"found \(no riscv64-unknown-elf-gcc\)"),
    ],
)
def test_a_missing_compiler_is_one_line_that_says_what_to_install(
    name: str | None, missing: str
) -> None:
    with pytest.raises(BuildError, match=missing) as caught:
        find_compiler(name)
    assert "pip install -e '.[soc]'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_compiler() -> None:
    with pytest.raises(BuildError, match=r"unknown cross-compiler 'tcc', known are zig, gcc"):
        find_compiler("tcc")


def test_a_missing_core_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.soc.cores.importlib.util.find_spec", lambda name: None)
    for core in CORES.values():
        with pytest.raises(BuildError, match=rf"{core.package} not found: .*'\.\[soc\]'"):
            core_sources(core)


def test_the_version_of_a_missing_core_package() -> None:
    unknown = replace(VEXRISCV, package="no-such-core")
    with pytest.raises(BuildError, match=r"no-such-core not found: install it with"):
        core_version(unknown)


@needs_zig
def test_an_error_in_the_source_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"failed with exit code 1: .*undeclared"):
        programs.compile_program("vexriscv", "int main(void) { return nothing; }", tmp_path)


@needs_zig
def test_too_many_variables(tmp_path: Path) -> None:
    text = "int large[1 << 16]; int main(void) { large[5] = 1; return large[6]; }"
    with pytest.raises(BuildError, match=r"region 'RAM' overflowed|will not fit in region"):
        programs.compile_program("vexriscv", text, tmp_path)


@needs_gcc
@pytest.mark.parametrize("core", CORES.values(), ids=lambda core: core.name)
def test_gcc_compiles_the_firmware(core: Core) -> None:
    kernel_set = "simd" if core.simd else "optimized"
    firmware = network_firmware(core, kernel_set, with_npu=True, compiler="gcc")
    assert "riscv64-unknown-elf-gcc" in firmware.compiler
    assert len(firmware.code) > 4096


@needs_zig
@pytest.mark.parametrize("kernel_set", KERNEL_SETS)
def test_zig_compiles_the_firmware(kernel_set: str) -> None:
    core = CV32E40P if kernel_set == "simd" else VEXRISCV
    firmware = network_firmware(core, kernel_set, with_npu=True, compiler="zig")
    assert firmware.compiler.startswith("ziglang ")
    assert f"-mcpu={core.zig_cpu}" in firmware.flags
    assert 4096 < len(firmware.code) < memory_map.CODE_BYTES
    assert network_firmware(core, kernel_set, with_npu=True, compiler="zig") == firmware


def test_flags_name_core_and_instruction_set() -> None:
    for core in CORES.values():
        for compiler in ("zig", "gcc"):
            flags = compile_flags(core, compiler, ["EXTRA=1"])
            assert f"-D{core.define}" in flags
            assert "-DEXTRA=1" in flags
            assert any("rv32" in flag for flag in flags)


def test_keys_need_no_compiler_and_tell_everything_apart(
    no_compiler: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {
        network_firmware_key(core, kernel_set, compiler, with_npu=with_npu)
        for core in CORES.values()
        for kernel_set in KERNEL_SETS
        for compiler in ("zig", "gcc")
        for with_npu in (False, True)
    }
    assert len(keys) == 24
    sets = ("reference", "optimized")

    def key(kernel_set: str, with_npu: bool = False) -> str:
        return network_firmware_key(VEXRISCV, kernel_set, "zig", with_npu=with_npu)

    before, other = (key(name) for name in sets)
    real = Path.read_text

    def edit(text: str) -> None:
        monkeypatch.setattr(
            Path,
            "read_text",
            lambda path, **more: real(path, **more) + (text if path.name == "columns.h" else ""),
        )

    edit("\n/* a comment */  // and another\n")
    assert key("optimized") == other
    edit("int more;")
    assert key("reference") == before
    assert key("optimized") != other
    monkeypatch.setattr("sim.soc.firmware_build._FLAGS", ("-O3",))
    assert key("reference") != before


def test_linker_script_start_code_and_hardware_have_the_memory_map() -> None:
    start, script = (path.read_text(encoding="utf-8") for path in START_FILES)
    assert f"ORIGIN = {memory_map.VARIABLES_BASE:#010x}, LENGTH = 48K" in script
    assert memory_map.VARIABLES_BYTES == 48 << 10
    assert f"ORIGIN = {memory_map.CODE_BASE:#010x}, LENGTH = 1M" in script
    assert memory_map.CODE_BYTES == 1 << 20
    assert f"__stack_top = {memory_map.STACK_TOP:#x}" in script
    for name, value in {
        "DEVICES": memory_map.DEVICES_BASE,
        "DEVICE_EXIT": memory_map.Device.EXIT,
        "DEVICE_TRAP": memory_map.Device.TRAP,
        "EXIT_TRAP": memory_map.ExitCode.TRAP,
    }.items():
        digits = 8 if value > 0xFFFF else 2
        assert f".equ {name}, 0x{value:0{digits}x}" in start
    soc = hardware_sources(VEXRISCV, None)[0]
    for base, size in (
        (memory_map.RAM_BASE, memory_map.RAM_BYTES),
        (memory_map.IMAGE_BASE, memory_map.IMAGE_BYTES),
    ):
        assert size == 1 << 24
        assert f"address[31:24] == 8'h{base >> 24:02x}" in soc


def _elf(machine: int, segments: list[tuple[int, int, int, int]]) -> bytes:
    """An ELF file with segments of (virtual address, physical address, bytes stored, bytes)."""
    table = 52
    content = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    content += struct.pack("<HHIIIIIHHHHHH", 2, machine, 1, 0, table, 0, 0, 52, 32, 4, 0, 0, 0)
    content = content[:44] + struct.pack("<H", len(segments)) + content[46:]
    data = table + 32 * len(segments)
    for virtual, physical, stored, size in segments:
        content += struct.pack("<8I", 1, data, virtual, physical, stored, size, 5, 4)
    return content + bytes(range(1, 65))


RISCV = 243


def test_elf_segments_are_laid_out() -> None:
    variables = memory_map.VARIABLES_BASE
    loaded = load_elf(
        _elf(RISCV, [(0, 0, 4, 4), (variables, 8, 2, 2), (variables + 4, variables + 4, 0, 12)])
    )
    assert loaded.code == b"\1\2\3\4\0\0\0\0\1\2"
    assert loaded.static_bytes == 16


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"not a 32-bit little-endian ELF file"),
        (b"\x7fELF\x02\x01\x01".ljust(64, b"\0"), r"not a 32-bit little-endian ELF file"),
        (_elf(62, []), r"is for ELF machine 62, RISC-V is 243"),
        (_elf(RISCV, [(0, 1 << 20, 4, 4)]), r"has 4 bytes for 0x100000, the code memory is"),
        (
            _elf(RISCV, [(memory_map.VARIABLES_BASE, 0, 0, 50000)]),
            r"50000 bytes of variables, there is room for 49152",
        ),
    ],
)
def test_wrong_elf_files(content: bytes, message: str) -> None:
    with pytest.raises(BuildError, match=message):
        load_elf(content)


@needs_zig
def test_sources_are_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # clang's own runtime library takes seconds: take it from the user's cache
    (cache_folder() / "zig").mkdir(parents=True, exist_ok=True)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "zig").symlink_to(cache_folder() / "zig")
    monkeypatch.setenv("NPU_CACHE_DIR", str(tmp_path / "cache"))
    first = programs.compile_program("cv32e40p", programs.HANG, tmp_path)
    monkeypatch.setattr("sim.soc.firmware_build.run", None)
    assert programs.compile_program("cv32e40p", programs.HANG, tmp_path) == first
    with pytest.raises(TypeError):
        build_firmware(CV32E40P, [tmp_path / "program.c"], defines=["OTHER"])
