"""Compiles firmware for the bench SoC with clang (from the package `ziglang`) or with gcc."""

import importlib.metadata
import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sim.cache import cache_folder, cached, content_key
from sim.errors import BuildError
from sim.soc.cores import INSTALL_HINT, Core
from sim.soc.elf import load_elf
from sim.soc.firmware.headers import FOLDERS, WITH_NPU
from sim.soc.firmware.headers import headers as generated_headers
from sim.soc.firmware.headers import sources as network_sources
from sim.soc.sources import without_comments
from sim.verilator.toolchain import run

FIRMWARE = Path(__file__).parent / "firmware"
START_FILES = (FIRMWARE / "start.S", FIRMWARE / "link.ld")

_GCC = "riscv64-unknown-elf-gcc"
_FLAGS = (
    *("-O2", "-fomit-frame-pointer", "-ffreestanding", "-fno-builtin"),
    *("-ffunction-sections", "-fdata-sections"),
    *("-std=c11", "-Wall", "-Wextra", "-Werror"),
)
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
_LINK_FLAGS = ("-nostartfiles", "-Wl,--gc-sections")


@dataclass(frozen=True)
class Compiler:
    """A C cross-compiler.

    Attributes
    ----------
    name : `zig` or `gcc`.
    version : as it reports it.
    command : how to call it.
    """

    name: str
    version: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Firmware:
    """Compiled firmware.

    Attributes
    ----------
    code : contents of the code memory.
    static_bytes : RAM for data and zeroed data.
    compiler : name and version. flags : what it was compiled with.
    """

    code: bytes
    static_bytes: int
    compiler: str
    flags: str


COMPILERS = ("zig", "gcc")
"""In order of preference."""


def find_compiler(name: str | None = None) -> Compiler:
    """A cross-compiler by name, or the first of `COMPILERS` that is installed.

    Raises
    ------
    BuildError : it is not installed; the message says how to install one.
    """
    if name is not None and name not in COMPILERS:
        raise BuildError(f"unknown cross-compiler {name!r}, known are {', '.join(COMPILERS)}")
    for candidate in COMPILERS if name is None else (name,):
        found = _zig() if candidate == "zig" else _gcc()
        if found is not None:
            return found
    missing = {"zig": "no ziglang", "gcc": f"no {_GCC}", None: f"neither ziglang nor {_GCC}"}[name]
    raise BuildError(
        f"no RISC-V C compiler found ({missing}): {INSTALL_HINT}"
        " (Debian's alternative: `apt install gcc-riscv64-unknown-elf`)"
    )


def _zig() -> Compiler | None:
    if importlib.util.find_spec("ziglang") is None:
        return None
    command = (sys.executable, "-m", "ziglang", "cc")
    return Compiler("zig", f"ziglang {importlib.metadata.version('ziglang')}", command)


@cache
def _gcc_version(path: str) -> str:
    return run([path, "--version"]).splitlines()[0]


def _gcc() -> Compiler | None:
    path = shutil.which(_GCC)
    return None if path is None else Compiler("gcc", _gcc_version(path), (path,))


def compile_flags(core: Core, compiler: str, defines: Sequence[str] = ()) -> list[str]:
    """All flags that firmware is compiled with, but for paths.

    Parameters
    ----------
    core : the CPU. compiler : `zig` or `gcc`.
    defines : further preprocessor symbols, `NAME` or `NAME=VALUE`.
    """
    if compiler == "zig":
        target = ["-target", "riscv32-freestanding-none", f"-mcpu={core.zig_cpu}"]
        own = ["-fno-sanitize=undefined", "-Wno-unused-command-line-argument"]
    else:
        target = [f"-march={core.gcc_arch}"]
        own = ["-fno-tree-loop-distribute-patterns", "-nostdlib"]
    symbols = [f"-D{name}" for name in (core.define, *defines)]
    return [*target, "-mabi=ilp32", *_FLAGS, *own, *symbols, *_LINK_FLAGS]


def build_firmware(
    core: Core,
    sources: Sequence[Path],
    *,
    headers: Sequence[Path] = (),
    generated: Mapping[str, str] | None = None,
    defines: Sequence[str] = (),
    compiler: str | None = None,
) -> Firmware:
    """Compile and link firmware; the start-up code is added.

    Parameters
    ----------
    core : the CPU.
    sources : C files, each name once.
    headers : files that they include.
    generated : further headers by name, with their text.
    defines : preprocessor symbols.
    compiler : `zig`, `gcc`, or None for the first that is installed.

    Raises
    ------
    BuildError : no compiler, or it failed.
    """
    tool = find_compiler(compiler)
    flags = compile_flags(core, tool.name, defines)
    texts = {path.name: path.read_text(encoding="utf-8") for path in (*sources, *headers)}
    texts |= {path.name: path.read_text(encoding="utf-8") for path in START_FILES}
    texts |= generated or {}
    names = ["start.S", *sorted(path.name for path in sources)]
    parts = [f"{name}\n{text}" for name, text in sorted(texts.items())]
    key = content_key(tool.version, flags, names, *parts)

    def build(target: Path) -> None:
        for name, text in texts.items():
            (target / name).write_text(text, encoding="utf-8")
        output = target / "firmware.elf"
        files = [str(target / name) for name in names]
        last = ["-lgcc"] if tool.name == "gcc" else []
        command = [*tool.command, *flags, f"-I{target}", "-T", str(target / "link.ld"), *files]
        run([*command, *last, "-o", str(output)], _variables(tool))
        loaded = load_elf(output.read_bytes())
        (target / "code.bin").write_bytes(loaded.code)
        record = {"static_bytes": loaded.static_bytes}
        (target / "firmware.json").write_text(json.dumps(record), encoding="utf-8")

    folder = cached("firmware", key, build)
    record = json.loads((folder / "firmware.json").read_text(encoding="utf-8"))
    code = (folder / "code.bin").read_bytes()
    return Firmware(code, record["static_bytes"], tool.version, " ".join(flags))


def network_firmware(
    core: Core, kernel_set: str, *, with_npu: bool, compiler: str | None = None
) -> Firmware:
    """The firmware that runs a network image with one of `headers.KERNEL_SETS`.

    `with_npu`: with the driver of the NPU, for an SoC that has one.

    Raises
    ------
    BuildError : no compiler, or it failed.
    """
    sources = network_sources(kernel_set, with_npu)
    return build_firmware(
        core,
        sources,
        headers=_included(sources),
        generated=generated_headers(with_npu),
        defines=_defines(with_npu),
        compiler=compiler,
    )


def network_firmware_key(core: Core, kernel_set: str, compiler: str, *, with_npu: bool) -> str:
    """Identifies the sources, but for comments, and flags of `network_firmware`; needs no
    compiler."""
    sources = network_sources(kernel_set, with_npu)
    files = [*sources, *_included(sources), *START_FILES]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    texts |= generated_headers(with_npu)
    parts = [part for name in sorted(texts) for part in (name, without_comments(texts[name]))]
    return content_key(compile_flags(core, compiler, _defines(with_npu)), parts)


def _defines(with_npu: bool) -> tuple[str, ...]:
    return (WITH_NPU,) if with_npu else ()


def _included(sources: Sequence[Path]) -> list[Path]:
    """The headers that sources include, directly or not, but for generated ones."""
    found: dict[str, Path] = {}
    waiting = list(sources)
    while waiting:
        for name in _INCLUDE.findall(waiting.pop().read_text(encoding="utf-8")):
            here = [folder / name for folder in FOLDERS if (folder / name).is_file()]
            if name not in found and here:
                found[name] = here[0]
                waiting.append(here[0])
    return [found[name] for name in sorted(found)]


def _variables(tool: Compiler) -> dict[str, str]:
    if tool.name != "zig":
        return {}
    folder = str(cache_folder() / "zig")
    return {"ZIG_GLOBAL_CACHE_DIR": folder, "ZIG_LOCAL_CACHE_DIR": folder}
