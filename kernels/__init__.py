"""Int8 arithmetic in Numba, bit-exact with TensorFlow Lite Micro."""

from pathlib import Path

from kernels.jit_cache import discard_stale

discard_stale(Path(__file__).parent)
