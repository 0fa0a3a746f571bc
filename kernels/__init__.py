"""Int8 arithmetic in Numba, bit-exact with TensorFlow Lite Micro."""

from pathlib import Path

from kernels.jit_cache import choose_folder, discard_stale

_HERE = Path(__file__).parent

discard_stale(_HERE)
# beside the kernels, only these hold compiled code that contains code of other files
_SIM = _HERE.parent / "sim"
choose_folder([_HERE, _SIM / "functional", _SIM / "cycle"], _SIM / "jit.py")
