"""Compiled files in the unmodified `tflite-micro` wheel: our operator, driver and a simulator.

The operator and the driver are those of firmware (`rtl/driver`), compiled for this machine; behind
the driver's registers is `VirtualNpu`.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.embedded.virtual_npu import VirtualNpu
from npu.errors import CompiledModelError, GoldenError
from npu.offload.backends import SimulatorName
from npu.offload.simulators import make_simulator
from rtl.config import NpuConfig
from rtl.driver_files import driver_files
from sim.cache import cached, content_key
from sim.memory import MemoryConfig
from sim.verilator.toolchain import find_toolchain, run

REGISTERER = "npu_tflm_register"
"""What `custom_op_registerers` of the wheel's interpreter names."""
NAME = "libnpu_tflm.so"
_FOLDER = Path(__file__).with_name("tflm")
_FLAGS = ("-O2", "-fPIC", "-Wall", "-Wextra", "-Werror")

READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)


def host_library() -> Path:
    """The operator and the driver as a library for this machine, built when it is not there yet.

    Raises
    ------
    BuildError : no C++ compiler, or it failed.
    """
    tools = find_toolchain()
    texts = driver_files() | {
        str(path.relative_to(_FOLDER)): path.read_text(encoding="utf-8")
        for path in sorted(_FOLDER.rglob("*"))
        if path.is_file()
    }
    parts = [part for name in sorted(texts) for part in (name, texts[name])]
    key = content_key(tools.compiler_version, list(_FLAGS), *parts)

    def build(target: Path) -> None:
        for name, text in texts.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text, encoding="utf-8")
        driver = str(target / "npu_driver.o")
        language = ["-x", "c", "-std=c99", "-pedantic"]
        run([tools.compiler, *language, *_FLAGS, "-c", str(target / "npu_driver.c"), "-o", driver])
        sources = [str(target / name) for name in ("npu_tflm.cc", "host.cpp")]
        command = [tools.compiler, "-std=c++17", *_FLAGS, "-shared", f"-I{target}", *sources]
        run([*command, "-DNPU_TFLM_NAMESPACE=tflite::micro", driver, "-o", str(target / NAME)])

    return cached("tflm", key, build) / NAME


@cache
def _library() -> ctypes.CDLL:
    try:
        from tflite_micro.python.tflite_micro import _runtime
    except ImportError as error:
        raise GoldenError(f"the TFLM interpreter is not installed: {error}") from None
    # the operator calls functions of the wheel, and the wheel looks the operator up by name
    ctypes.CDLL(_runtime.__file__, mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(host_library()), mode=ctypes.RTLD_GLOBAL)
    library.npu_host_pointer.restype = ctypes.c_void_p
    library.npu_host_pointer.argtypes = [ctypes.c_uint32]
    library.npu_host_device.restype = ctypes.c_void_p
    return library


class TflmNpu:
    """TFLM's interpreters with an NPU; one NPU in a process, the last one made.

    Parameters
    ----------
    config : the hardware. backend : what stands for it. memory : the external memory's timing.
    limit : cycles after which an operator fails; 0 for none.

    Raises
    ------
    GoldenError : the wheel is not installed. BuildError : the operator cannot be built.
    """

    def __init__(
        self,
        config: NpuConfig,
        backend: SimulatorName = "functional",
        memory: MemoryConfig | None = None,
        limit: int = 0,
    ) -> None:
        self.library = _library()
        simulate = make_simulator(config, backend, memory or MemoryConfig())
        self.hardware = VirtualNpu(
            config, simulate, lambda a: int(self.library.npu_host_pointer(a) or 0)
        )
        self._read, self._write = READ(self.hardware.read), WRITE(self._guarded_write)
        error = self.library.npu_host_connect(self._read, self._write, limit)
        if error:
            raise CompiledModelError(f"the driver does not open the NPU: error {error}")

    def _guarded_write(self, offset: int, value: int) -> None:
        try:
            self.hardware.write(offset, value)
        except Exception as error:
            self.hardware.fail(error)

    def interpreter(self, model: bytes, arena_bytes: int | None = None) -> Any:
        """An interpreter of the wheel for a compiled file.

        Raises `RuntimeError` when TFLM refuses it; the reason is on standard error.
        """
        from tflite_micro import runtime

        return runtime.Interpreter.from_bytes(
            model, custom_op_registerers=[REGISTERER], arena_size=arena_bytes
        )

    def run(self, interpreter: Any, inputs: Sequence[NDArray[Any]], outputs: int) -> list[Any]:
        """One invoke; its outputs.

        Raises what the simulator raised, if it did.
        """
        for position, value in enumerate(inputs):
            interpreter.set_input(np.ascontiguousarray(value), position)
        try:
            interpreter.invoke()
        except RuntimeError:
            if self.hardware.failure is None:
                raise
        if self.hardware.failure is not None:
            failure, self.hardware.failure = self.hardware.failure, None
            raise failure
        return [np.array(interpreter.get_output(i)) for i in range(outputs)]
