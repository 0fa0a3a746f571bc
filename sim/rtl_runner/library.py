"""The harness's C interface (`harness.cpp`) for ctypes; the structures mirror those there."""

import ctypes
from pathlib import Path

import numpy as np

from sim.verilator.library import Functions, load_functions

SEGMENTS = 4
ENGINES = 3

RUNNING, INTERRUPT, PROTOCOL = 0, 1, 2
"""What `npu_run` returns."""

TRACE_ENTRY = np.dtype(
    [
        ("cycle", "<u8"),
        ("command", "<u2"),
        ("engine", "u1"),
        ("start", "u1"),
        ("reserved", "<u4"),
    ]
)


class Segment(ctypes.Structure):
    """A piece of memory on the bus."""

    _fields_ = [
        ("base", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("data", ctypes.c_void_p),
    ]


class Options(ctypes.Structure):
    """The memory model's behaviour."""

    _fields_ = [
        ("latency", ctypes.c_uint32),
        ("response_latency", ctypes.c_uint32),
        ("handshake", ctypes.c_uint32),
        ("stall_threshold", ctypes.c_uint32),
        ("seed", ctypes.c_uint32),
        ("inject", ctypes.c_uint32),
        ("fault_response", ctypes.c_uint32),
        ("silent_channels", ctypes.c_uint32),
        ("silent_from", ctypes.c_uint64),
        ("silent_until", ctypes.c_uint64),
        ("fault_read", ctypes.c_uint64),
        ("fault_write", ctypes.c_uint64),
        ("segments", Segment * SEGMENTS),
    ]


class EngineState(ctypes.Structure):
    """How far an engine has come."""

    _fields_ = [
        ("started", ctypes.c_uint64),
        ("completed", ctypes.c_uint64),
        ("start_cycle", ctypes.c_uint64),
        ("done_cycle", ctypes.c_uint64),
        ("last_started", ctypes.c_uint32),
        ("last_completed", ctypes.c_uint32),
    ]


class State(ctypes.Structure):
    """The harness between two slices of a run."""

    _fields_ = [
        ("cycles", ctypes.c_uint64),
        ("interrupt", ctypes.c_uint32),
        ("outstanding_reads", ctypes.c_uint32),
        ("outstanding_writes", ctypes.c_uint32),
        ("reserved", ctypes.c_uint32),
        ("engines", EngineState * ENGINES),
    ]


def open_library(path: Path) -> ctypes.CDLL:
    """Load a simulator of the NPU and declare its functions.

    Raises
    ------
    BuildError : the file is no simulator of this version, or built for another machine.
    """
    handle, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    pointer = ctypes.POINTER
    functions: Functions = {
        "npu_create": (handle, [pointer(Options)]),
        "npu_destroy": (None, [handle]),
        "npu_run": (ctypes.c_int32, [handle, u64]),
        "npu_write_register": (ctypes.c_int32, [handle, u32, u32]),
        "npu_read_register": (ctypes.c_int32, [handle, u32, pointer(u32)]),
        "npu_start": (ctypes.c_int32, [handle, u32, u32]),
        "npu_trace": (None, [handle, ctypes.c_void_p, u64]),
        "npu_trace_count": (u64, [handle]),
        "npu_waves": (ctypes.c_int32, [handle, ctypes.c_char_p, u64, u64]),
        "npu_state": (None, [handle, pointer(State)]),
        "npu_violation": (ctypes.c_char_p, [handle]),
    }
    return load_functions(path, functions)
