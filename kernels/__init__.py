"""Int8 arithmetic in Numba, bit-exact with TensorFlow Lite Micro."""

from pathlib import Path

from kernels.jit_cache import choose_folder, discard_stale

_HERE = Path(__file__).parent

discard_stale(_HERE)
# beside the kernels, only these hold compiled code
choose_folder([_HERE, *(_HERE.parent / "sim" / name for name in ("functional", "cycle"))])
