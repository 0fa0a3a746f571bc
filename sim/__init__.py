"""Simulators of the NPU: what runs a `Program`."""

from pathlib import Path

import kernels
from kernels.jit_cache import discard_stale

_HERE = Path(__file__).parent

# compiled code of the functional simulator contains functions of `kernels`, that of the cycle
# model only its own
discard_stale(_HERE / "functional", _HERE / "jit.py", Path(kernels.__file__).parent)
discard_stale(_HERE / "cycle", _HERE / "jit.py")
