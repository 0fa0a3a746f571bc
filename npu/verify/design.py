"""The hardware under test: files of a user's Verilog, and whether their ports are ours."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npu.errors import VerifyError
from rtl.config import NpuConfig
from sim.errors import BuildError
from sim.verilator.design import design_text
from sim.verilator.toolchain import find_toolchain, run

TOP = "npu"

_ERROR = re.compile(r"%Error(?:-\w+)?: (.*?)(?: \| |$)")
_SHOWN = 4


@dataclass(frozen=True)
class Port:
    """A port of a module: `direction` is input or output, `width` in bits."""

    direction: str
    width: int

    def __str__(self) -> str:
        return f"{self.direction} of {self.width} bit{'s' * (self.width != 1)}"


def read_sources(paths: Sequence[Path]) -> str:
    """The text of a user's Verilog files, one behind the other.

    Raises
    ------
    VerifyError : a file cannot be read, or is no text.
    """
    texts = []
    for path in paths:
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise VerifyError(f"cannot read '{path}': {error.strerror}") from None
        except UnicodeDecodeError:
            raise VerifyError(f"'{path}' is no Verilog: it is not UTF-8 text") from None
    return "\n".join(texts)


def module_ports(paths: Sequence[Path], module: str) -> dict[str, Port]:
    """Ports of a module by name, as Verilator reads the files.

    Raises
    ------
    VerifyError : Verilator refuses them, or there is no such module; with its first message.
    BuildError : Verilator is not installed.
    """
    tools = find_toolchain()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(tools.verilator_root / "bin" / "verilator_bin"), "--json-only"]
        command += ["-Wno-lint", "-Wno-fatal", "--no-timing", "--top-module", module]
        command += ["--prefix", "design", "--Mdir", folder, *map(str, paths)]
        try:
            run(command, {"VERILATOR_ROOT": str(tools.verilator_root)})
        except BuildError as error:
            raise VerifyError(_refusal(str(error), module, paths)) from None
        tree = json.loads((Path(folder) / "design.tree.json").read_text(encoding="utf-8"))
    types = {kind["addr"]: kind for part in tree["miscsp"] for kind in part.get("typesp", [])}
    (found,) = (node for node in tree["modulesp"] if node.get("origName") == module)
    return {
        node["origName"]: Port(node["direction"].lower(), _width(types[node["dtypep"]]))
        for node in found["stmtsp"]
        if node["type"] == "VAR" and node["direction"] in ("INPUT", "OUTPUT", "INOUT")
    }


def own_ports_checked(config: NpuConfig, paths: Sequence[Path]) -> str:
    """The text of files whose module `npu` has the ports of ours.

    Raises
    ------
    VerifyError : a file cannot be read or is no Verilog, or the ports are others.
    """
    text = read_sources(paths)
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "own.v"
        own.write_text(design_text(config), encoding="utf-8")
        ports = module_ports([own], TOP)
    check_ports(module_ports(paths, TOP), ports, TOP)
    return text


def check_ports(given: Mapping[str, Port], own: Mapping[str, Port], module: str) -> None:
    """Refuse a module whose ports are not `own`.

    Raises
    ------
    VerifyError : ports that are missing, of another width or direction, or too many.
    """
    missing = [name for name in own if name not in given]
    unlike = [name for name in own if name in given and given[name] != own[name]]
    unknown = [name for name in given if name not in own]
    faults = []
    if missing:
        faults.append(f"lacks {_listed([f'{name} ({own[name]})' for name in missing])}")
    if unlike:
        pairs = [f"{name} is an {given[name]}, not an {own[name]}" for name in unlike]
        faults.append(f"has other ports: {_listed(pairs)}")
    if unknown:
        faults.append(f"has unknown ports: {_listed(unknown)}")
    if faults:
        raise VerifyError(f"module {module} {'; it '.join(faults)}")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _width(kind: Mapping[str, Any]) -> int:
    high, _, low = kind.get("range", "0:0").partition(":")
    return abs(int(high) - int(low)) + 1


def _refusal(message: str, module: str, paths: Sequence[Path]) -> str:
    """One line of what Verilator said."""
    names = ", ".join(f"'{path}'" for path in paths)
    if "was not found in design" in message:
        return f"{names} has no module {module}"
    found = _ERROR.search(message)
    return f"Verilator refuses {found[1] if found else f'{names}: {message}'}"
