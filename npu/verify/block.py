"""A user's block in place of ours: the NPU is elaborated around it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from npu.cost.blocks import BLOCKS
from npu.errors import VerifyError
from npu.verify.aims import AIMS, Aim
from npu.verify.design import check_ports, module_ports, read_sources
from rtl.config import NpuConfig

LANE = "requantizer"
"""One lane of the block `requantizers`, which people replace most."""

NAMES = (*BLOCKS, LANE)
"""Blocks that can be replaced."""


def block_module(name: str) -> str:
    """The module that a block is in Verilog."""
    return f"block_{name.replace(' ', '_')}"


def block_aims(name: str) -> list[Aim]:
    """Those of `AIMS` that exercise a block; the last one exercises all."""
    block = f"{name}s" if name == LANE else name
    return [aim for aim in AIMS if block in aim.blocks or aim is AIMS[-1]]


def own_block(name: str, config: NpuConfig) -> str:
    """Verilog of our block, as the module `block_module(name)` with those below it.

    Raises
    ------
    VerifyError : there is no such block.
    """
    from rtl.verilog import block_verilog

    return block_verilog(_make(name, config), block_module(name))


def design_with_block(name: str, config: NpuConfig, paths: list[Path]) -> str:
    """Verilog of the NPU with the block that the files describe in place of ours.

    Raises
    ------
    VerifyError : there is no such block, a file cannot be read or is no Verilog, or the module's
        ports are not ours.
    """
    from rtl.verilog import verilog_text

    text = read_sources(paths)
    module = block_module(name)
    with TemporaryDirectory() as folder:
        own = Path(folder) / "own.v"
        own.write_text(own_block(name, config), encoding="utf-8")
        ports = module_ports([own], module)
    check_ports(module_ports(paths, module), ports, module)
    with _replaced(type(_make(name, config)), module, list(ports)):
        return f"{verilog_text(config)}\n{text}"


def _make(name: str, config: NpuConfig) -> Any:
    """The component."""
    if name == LANE:
        return import_module("rtl.requantizer").Requantizer(config.rounding)
    if name not in BLOCKS:
        raise VerifyError(f"no block '{name}'; there are {', '.join(NAMES)}")
    return BLOCKS[name].build(config)


@contextmanager
def _replaced(component: Any, module: str, ports: list[str]) -> Iterator[None]:
    """While it lasts, components of this class are instances of a module."""
    original = component.elaborate
    component.elaborate = lambda block, platform: _instance(block, module, ports)
    try:
        yield
    finally:
        component.elaborate = original


def _instance(block: Any, module: str, ports: list[str]) -> Any:
    """The module's instance with the block's members as ports, named as Amaranth names them."""
    from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
    from amaranth.lib.wiring import In

    connected: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    for path, member, value in block.signature.flatten(block):
        direction = "i" if member.flow == In else "o"
        connected[f"{direction}_{'__'.join(map(str, path))}"] = value
    m = Module()
    m.submodules.instance = Instance(
        module, **{name: value for name, value in connected.items() if name[2:] in ports}
    )
    return m
