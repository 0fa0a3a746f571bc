"""The CPUs of the bench SoC as designs, for clocks to compare the NPU's with."""

from pathlib import Path

import sim.soc
from npu.synth.design import Design
from npu.synth.errors import SynthesisError
from sim.soc.cores import CORES, CV32E40P, Core, core_sources

# the package's own is a latch for simulation only; on an FPGA the clock is let through
_HARDWARE = Path(sim.soc.__file__).parent / "hardware"

_CLOCK_GATE = "cv32e40p_sim_clock_gate.sv"
_OPEN_GATE = """module cv32e40p_clock_gate (
    input logic clk_i, input logic en_i, input logic scan_cg_en_i, output logic clk_o
);
    assign clk_o = clk_i;
endmodule
"""


def find_core(name: str) -> Core:
    """The core of that name.

    Raises
    ------
    SynthesisError : there is none.
    """
    if name not in CORES:
        raise SynthesisError(f"unknown core {name!r}; allowed: {', '.join(CORES)}")
    return CORES[name]


def core_design(core: Core) -> Design:
    """A core with its caches, if it has some, behind the wrapper that joins it to the SoC's buses.

    Raises
    ------
    BuildError : the core's package is not installed.
    """
    paths = [Path(source) for source in core_sources(core) if not source.startswith("+")]
    paths.append(_HARDWARE / core.wrapper)
    files = [
        _OPEN_GATE if path.name == _CLOCK_GATE else path.read_text(encoding="utf-8")
        for path in paths
    ]
    return Design(name=core.name, top="cpu", files=tuple(files), system_verilog=core is CV32E40P)
