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
from sim.cache import cached, content_key
from sim.verilator.build import Log, report
from sim.verilator.design import design_key

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

    component = _component(name)
    block = component(config.rounding if name == LANE else config)
    return block_verilog(block, block_module(name))


def design_with_block(
    name: str, config: NpuConfig, paths: list[Path], log: Log | None = None
) -> str:
    """Verilog of the NPU with the block that the files describe in place of ours.

    Parameters
    ----------
    name : of `NAMES`. paths : its files. log : told what takes long.

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

    def generate(target: Path) -> None:
        with _replaced(_component(name), module, list(ports)):
            (target / "npu.v").write_text(verilog_text(config), encoding="utf-8")

    report(log, "generating Verilog around the block")
    key = content_key(design_key(config), Path(__file__).read_bytes(), name)
    around = cached("verilog", key, generate) / "npu.v"
    return "\n".join((around.read_text(encoding="utf-8"), text))


def _component(name: str) -> Any:
    """The class of the component."""
    if name == LANE:
        return import_module("rtl.requantizer").Requantizer
    if name not in BLOCKS:
        raise VerifyError(f"no block '{name}'; there are {', '.join(NAMES)}")
    return getattr(import_module(BLOCKS[name].module), BLOCKS[name].component)


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
