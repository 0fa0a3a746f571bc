"""The half of building a simulator that is the same for every design: Verilator, g++, a library.

What is built is cached by content (see `sim.cache`).
"""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from sim.cache import cached, content_key
from sim.verilator.toolchain import (
    FAST_FLAGS,
    LANGUAGE_FLAGS,
    SLOW_FLAGS,
    Toolchain,
    fst_headers,
    processor_name,
    run,
    run_all,
)
from sim.waves import WaveFormat

logger = logging.getLogger(__name__)

Log = Callable[[str], None]
"""Called with one line about what the build is doing."""

SIGN_EXTENSION = Path(__file__).parent / "sign_extension.h"
"""Included in front of every source: a faster form of what Verilator writes."""

_RUNTIME = ("verilated.cpp", "verilated_threads.cpp")
_VERILATOR_FLAGS = (
    *("--cc", "-O3"),
    *("--x-assign", "fast", "--x-initial", "fast", "--noassert", "--no-timing"),
    *("--output-split", "8000"),
    *("-Wno-fatal", "-Wno-lint"),
)


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
    waves : whether it can write the values of all signals, and in which form.

    Raises
    ------
    BuildError : a tool failed.
    """
    runtime = _runtime_library(tools, log, waves)
    report(log, "translating Verilog to C++")
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
    faster = ["-include", str(SIGN_EXTENSION)]
    folders = [f"-I{objects}", f"-I{harness.parent}"]
    _compile(tools, files, objects, [*folders, *defines, *faster], log, waves)
    parts = [str(objects / f"{path.stem}.o") for path in files]
    linked = [*parts, str(runtime), "-pthread"]
    run([tools.compiler, "-shared", "-o", str(library), *linked])
    shutil.rmtree(objects)


def wave_headers(waves: WaveFormat | None) -> list[bytes]:
    """What a simulator that writes waves is compiled with besides, for cache keys."""
    return fst_headers() if waves == "fst" else []


def _runtime_library(tools: Toolchain, log: Log | None, waves: WaveFormat | None) -> Path:
    """Verilator's own runtime, compiled once for all designs."""
    names = [*_RUNTIME, *([f"verilated_{waves}_c.cpp"] if waves else [])]
    flags = [*LANGUAGE_FLAGS, *FAST_FLAGS, *names[2:]]
    key = content_key(flags, *tool_identity(tools), *wave_headers(waves))

    def build(target: Path) -> None:
        report(log, "compiling Verilator's runtime library (once)")
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
    run_all(commands, lambda done, total: report(log, f"compiling C++ ({done} of {total})"))


def report(log: Log | None, message: str) -> None:
    """Say what a build is doing."""
    logger.info(message)
    if log is not None:
        log(message)
