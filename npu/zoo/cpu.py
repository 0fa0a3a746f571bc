"""A network on the CPU of the bench SoC, without an NPU: the fastest portable kernels."""

from collections.abc import Callable

from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.speedup.measure import Setting, measure_rung
from npu.speedup.rungs import CPU_RUNGS
from npu.speedup.store import Measurement
from rtl.config import PRESETS

OPTIMIZED = CPU_RUNGS[1]


def cpu_measurement(graph: Graph, log: Callable[[str], None] | None = None) -> Measurement:
    """Measured in RTL simulation, or known from before.

    Raises
    ------
    NpuError : an operator that the firmware has not, or what measures is not installed.
    """
    setting = Setting(config=PRESETS["npu256"])
    entry = measure_rung(graph, load_inputs([], graph), OPTIMIZED, setting, log=log)
    assert entry is not None
    return entry.measurement
