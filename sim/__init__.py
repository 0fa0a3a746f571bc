"""Simulators of the NPU: what runs a `Program`."""

from pathlib import Path

import kernels
from kernels.jit_cache import discard_stale

# the functional simulator's compiled code contains functions of `kernels`
discard_stale(Path(__file__).parent, Path(kernels.__file__).parent)
