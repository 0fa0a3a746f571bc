"""What a network is measured on: three CPUs without an NPU, and one with it."""

from dataclasses import dataclass

from sim.soc.cores import CV32E40P, VEXRISCV, Core


@dataclass(frozen=True)
class Rung:
    """A core and its kernels.

    Attributes
    ----------
    name : for tables and JSON.
    core : the CPU.
    kernels : the kernel set of the operators on the CPU.
    with_npu : whether the NPU takes the operators that it can.
    cycles_per_mac : what it roughly takes, to say how long a simulation will last.
    headline : whether a speedup over it says something about the accelerator rather than about
        the baseline.
    """

    name: str
    core: Core
    kernels: str
    cycles_per_mac: float
    with_npu: bool = False
    headline: bool = True


CPU_RUNGS = (
    Rung("reference on VexRiscv", VEXRISCV, "reference", 20.0, headline=False),
    Rung("optimized on VexRiscv", VEXRISCV, "optimized", 6.0),
    Rung("SIMD on CV32E40P", CV32E40P, "simd", 2.5),
)
NPU_RUNG = Rung("NPU + VexRiscv", VEXRISCV, "optimized", 0.05, with_npu=True)
RUNGS = (*CPU_RUNGS, NPU_RUNG)
