"""The SoC harness's C interface (`hardware/harness.cpp`) for ctypes."""

import ctypes
from pathlib import Path

import numpy as np

from sim.verilator.library import Functions, load_functions

RUNNING, EXITED, FAULT = 0, 1, 2
"""What `soc_run` returns."""

MARKER = np.dtype([("cycle", "<u8"), ("value", "<u4"), ("reserved", "<u4")])


class State(ctypes.Structure):
    """The harness between two slices of a run."""

    _fields_ = [
        ("cycles", ctypes.c_uint64),
        ("markers", ctypes.c_uint64),
        ("console_bytes", ctypes.c_uint64),
        ("exit_code", ctypes.c_uint32),
        ("trapped", ctypes.c_uint32),
        ("trap_address", ctypes.c_uint32),
        ("fault_address", ctypes.c_uint32),
    ]


def open_library(path: Path) -> ctypes.CDLL:
    """Load a simulator of the SoC and declare its functions.

    Raises
    ------
    BuildError : the file is no simulator of this version, or built for another machine.
    """
    handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    pointer = ctypes.POINTER
    functions: Functions = {
        "soc_create": (handle, [u32]),
        "soc_destroy": (None, [handle]),
        "soc_memory": (handle, [handle, ctypes.c_int32, pointer(u64)]),
        "soc_reset": (None, [handle]),
        "soc_run": (ctypes.c_int32, [handle, u64]),
        "soc_state": (None, [handle, pointer(State)]),
        "soc_markers": (handle, [handle]),
        "soc_console": (handle, [handle]),
    }
    return load_functions(path, functions)
