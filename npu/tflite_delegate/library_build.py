"""Builds `libnpu_delegate.so`, for programs that load a delegate by its path."""

import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from sim.cache import cached, content_key
from sim.verilator.toolchain import find_toolchain, run

NAME = "libnpu_delegate.so"
_SOURCE = Path(__file__).with_name("plugin.cpp")
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")


def delegate_library() -> Path:
    """The path of the library for this Python, built when it is not there yet.

    A process without Python starts this one through it.

    Raises
    ------
    BuildError : no C++ compiler, or it failed.
    """
    tools = find_toolchain()
    defines = _defines()
    source = _SOURCE.read_text(encoding="utf-8")
    key = content_key(tools.compiler_version, list(_FLAGS), list(defines), source)

    def build(target: Path) -> None:
        command = [tools.compiler, *_FLAGS, *defines, str(_SOURCE), "-o", str(target / NAME)]
        run([*command, "-ldl"])

    return cached("delegate", key, build) / NAME


def _defines() -> tuple[str, ...]:
    values = {
        "NPU_LIBPYTHON": _quoted(str(_libpython())),
        "NPU_PYTHON_HOME": _quoted(sys.base_prefix),
        # texts within a Python program within a C string
        "NPU_SITE_PACKAGES": _quoted(repr(sysconfig.get_path("purelib"))),
        "NPU_ROOT": _quoted(repr(str(Path(__file__).resolve().parents[2]))),
    }
    return tuple(f"-D{name}={value}" for name, value in values.items())


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _libpython() -> Path:
    """The shared library of this Python; where there is none, where it would be."""
    names = [str(sysconfig.get_config_var(name) or "") for name in ("INSTSONAME", "LDLIBRARY")]
    candidates = [folder / name for folder in _folders() for name in names if ".so" in name]
    standard = Path(sys.base_prefix) / "lib" / f"libpython{sysconfig.get_python_version()}.so"
    return next((path for path in candidates if path.is_file()), standard)


def _folders() -> Iterator[Path]:
    configured = sysconfig.get_config_var("LIBDIR")
    if configured:
        yield Path(str(configured))
    yield Path(sys.base_prefix) / "lib"
