"""Comparing a run on the RTL with another simulator's."""

from npu.verify.blame import Run, difference
from sim.program import Program
from sim.result import SimulationResult


def assert_same(
    program: Program, run: Run, expected: SimulationResult, label: str = ""
) -> SimulationResult:
    """Run a program and compare its outputs and tensors with those of another simulator.

    Returns the run's result.

    Raises
    ------
    AssertionError : they differ; with the first suspect's command and operands as text, tensor,
        position, values and cycles, and a file with the waves of these cycles.
    """
    got = run()
    found = difference(program, run, expected, got)
    if found is not None:
        raise AssertionError(f"{label}: " * bool(label) + "\n".join(found.lines()))
    return got
