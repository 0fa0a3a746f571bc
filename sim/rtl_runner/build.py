"""Builds the RTL simulator of a configuration: Amaranth -> Verilog -> Verilator -> g++ -> .so.

Every stage is cached by content (see `sim.cache`): changing the RTL, the harness, a flag, the
compiler or the machine leads to a new library, anything else to the old one.
"""

from pathlib import Path

from rtl.config import NpuConfig
from sim.cache import cached, content_key
from sim.verilator.build import (
    SIGN_EXTENSION,
    Log,
    link_simulator,
    simulator_flags,
    tool_identity,
    wave_headers,
)
from sim.verilator.design import design_text
from sim.verilator.toolchain import find_toolchain
from sim.waves import WaveFormat

LIBRARY_NAME = "libnpu.so"

_HARNESS = ("harness.cpp", "memory_model.h")


def simulator_library(
    config: NpuConfig,
    log: Log | None = None,
    waves: WaveFormat | None = None,
    verilog: str | None = None,
) -> Path:
    """Path of the shared library that simulates a configuration; builds it when needed.

    Parameters
    ----------
    config : the hardware.
    log : called with what is going on.
    waves : whether it can write the values of all signals, and in which form; it is slower then.
    verilog : another design with the same ports; None: the project's own.

    Raises
    ------
    BuildError : a tool is missing or failed, or the cache cannot be written.
    """
    # a compiler that is missing is told before a minute of generating what it would compile
    find_toolchain()
    text = design_text(config, log) if verilog is None else verilog
    return build_library(text, config.bus_bytes, log, waves)


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
    sources = [*(here / name for name in _HARNESS), SIGN_EXTENSION]
    harness = [path.read_bytes() for path in sources]
    flags = [*simulator_flags(), str(bus_bytes), *([waves] if waves else [])]
    key = content_key(verilog, *harness, flags, *tool_identity(tools), *wave_headers(waves))

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
