"""What runs a network, by name; the one list."""

from typing import Literal

SimulatorName = Literal["functional", "cycle", "rtl"]
"""What executes the operators that the NPU takes: the command stream, the same with its exact
cycles, or the hardware in Verilator."""

BackendName = Literal["reference", SimulatorName]
"""The same, and the kernels alone."""

TIMED_BACKENDS = frozenset({"cycle", "rtl"})
"""Those that know when something happens, so that there can be a trace."""
