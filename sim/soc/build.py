"""Builds the simulator of the bench SoC with a core, and with or without an NPU."""

from pathlib import Path

from rtl.config import NpuConfig
from sim.cache import cached, content_key
from sim.soc.cores import Core, core_sources, core_version
from sim.verilator.build import Log, link_simulator, simulator_flags, tool_identity
from sim.verilator.design import design_text
from sim.verilator.toolchain import find_toolchain

HARDWARE = Path(__file__).parent / "hardware"
LIBRARY_NAME = "libsoc.so"

_COMMON = ("soc.v", "memory.v", "devices.v")
_NPU_PORTS = "npu_ports.v"
_HARNESS = "harness.cpp"
_WORD_BYTES = 4


def hardware_sources(core: Core, npu: NpuConfig | None) -> list[str]:
    """The bench's own Verilog for a core, with or without an NPU; neither of the two is in it."""
    return [(HARDWARE / name).read_text(encoding="utf-8") for name in _own_files(core, npu)]


def soc_library(core: Core, npu: NpuConfig | None, log: Log | None = None) -> Path:
    """Path of the shared library that simulates the SoC; builds it when needed.

    Parameters
    ----------
    core : the CPU. npu : the accelerator, or None.
    log : called with one line about each step.

    Raises
    ------
    BuildError : a package or a tool is missing, or a tool failed.
    """
    tools = find_toolchain()
    sources = core_sources(core)
    design = "" if npu is None else design_text(npu, log)
    bus_words = 2 if npu is None else npu.bus_bytes // _WORD_BYTES
    own = [HARDWARE / name for name in _own_files(core, npu)]
    contents = [*hardware_sources(core, npu), (HARDWARE / _HARNESS).read_text(encoding="utf-8")]
    package = [core_version(core)]
    flags = [*simulator_flags(), str(bus_words)]
    key = content_key(core.name, package, design, *contents, flags, *tool_identity(tools))

    def build(target: Path) -> None:
        arguments = [*sources, *map(str, own), f"-GBUS_WORDS={bus_words}"]
        if npu is not None:
            (target / "npu.v").write_text(design, encoding="utf-8")
            arguments += [str(target / "npu.v"), "+define+HAS_NPU"]
        link_simulator(
            tools,
            target / LIBRARY_NAME,
            top="soc",
            sources=arguments,
            harness=HARDWARE / _HARNESS,
            defines=[],
            log=log,
        )

    return cached("soc", key, build) / LIBRARY_NAME


def _own_files(core: Core, npu: NpuConfig | None) -> list[str]:
    return [*_COMMON, core.wrapper, *([] if npu is None else [_NPU_PORTS])]
