"""One program on the RTL and in the cycle model: every counter and every event must be equal."""

import numpy as np

from sim.cycle import CycleResult, simulate
from sim.memory import MemoryConfig
from sim.program import Program
from sim.rtl_runner import RtlSimulator


def check_program(program: Program, memory: MemoryConfig, label: str = "") -> CycleResult:
    """Compare, on inputs of zeros; returns the model's result."""
    inputs = {
        binding.tensor_index: np.zeros(binding.shape, binding.dtype) for binding in program.inputs
    }
    rtl = RtlSimulator(program.config, memory).run(program, inputs, trace=True)
    model = simulate(program, memory)
    where = f"{label} {memory}".strip()
    differences = {
        name: (count, model.counters[name])
        for name, count in rtl.counters.items()
        if model.counters[name] != count
    }
    assert not differences, f"(RTL, model) differ in {differences}: {where}"
    assert set(model.counters) == set(rtl.counters)
    assert model.cycles == rtl.cycles
    assert model.events == rtl.events, where
    return model
