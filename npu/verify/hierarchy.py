"""Blocks of the generated Verilog: their ports, and where their instances are."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_MODULE = re.compile(r"^module (\S+?)\s*\(.*?\);(.*?)^endmodule$", re.M | re.S)
_PORT = re.compile(r"^  (input|output) (?:\[\d+:\d+\] )?(\S+?) ?;$", re.M)
_INSTANCE = re.compile(r"^  (npu_\w+) +(\S+) +\($", re.M)
_MEMORY = re.compile(r"npu_(?:memory|registers)_\d")


@dataclass(frozen=True)
class Module:
    """A module of the netlist: names of its ports, and the modules of its instances by name."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    instances: dict[str, str] = field(default_factory=dict)


def read_modules(text: str) -> dict[str, Module]:
    """Modules by name, of Verilog as `rtl.verilog` writes it; memories are part of their users."""
    modules = {}
    for match in _MODULE.finditer(text):
        name, body = match.groups()
        if _MEMORY.match(name):
            continue
        ports = [(kind, port.removeprefix("\\")) for kind, port in _PORT.findall(body)]
        modules[name] = Module(
            tuple(port for kind, port in ports if kind == "input"),
            tuple(port for kind, port in ports if kind == "output"),
            {
                instance.removeprefix("\\"): module
                for module, instance in _INSTANCE.findall(body)
                if not _MEMORY.match(module)
            },
        )
    return modules


def instances(
    modules: dict[str, Module], top: str = "npu", path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """All instances below the top as paths of instance names, with their modules; outer ones
    first."""
    for name, module in modules[top].instances.items():
        yield (*path, name), module
        yield from instances(modules, module, (*path, name))
