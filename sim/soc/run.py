"""Runs firmware on the bench SoC."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtl.config import NpuConfig
from rtl.errors import ConfigError
from sim.errors import SimulationError
from sim.soc.build import soc_library
from sim.soc.cores import CORES
from sim.soc.firmware_build import Firmware
from sim.soc.library import FAULT, MARKER, RUNNING, State, open_library
from sim.soc.memory_map import (
    CODE_BYTES,
    IMAGE_BYTES,
    RAM_BASE,
    RAM_BYTES,
    STACK_BYTES,
    ExitCode,
)
from sim.verilator.build import Log

Progress = Callable[[int, int], None]
"""Called with the cycles simulated and the markers set so far."""

SLICE_CYCLES = 250_000
"""Cycles between two calls of a progress function; also how long Ctrl-C may take."""

_CODE, _IMAGE, _RAM = range(3)
"""Memories by their number in the hardware."""
_SIZES = (CODE_BYTES, IMAGE_BYTES, RAM_BYTES)

MAX_WAIT_STATES = 255
DEFAULT_MAX_CYCLES = 1_000_000_000


@dataclass(frozen=True)
class Marker:
    """Firmware wrote `value` to the marker register in cycle `cycle` after reset."""

    cycle: int
    value: int


@dataclass(frozen=True, eq=False)
class SocResult:
    """What a run left.

    Attributes
    ----------
    cycles : from reset to the write of the exit code.
    exit_code : what the firmware returned from `main`.
    markers : in order.
    console : what it printed.
    ram : the whole RAM at the end, uint8 `[RAM_BYTES]`.
    code_bytes : instructions, constants and initial data of the firmware.
    stack_bytes : the deepest stack; what was pushed but only zeros is not noticed.
    """

    cycles: int
    exit_code: int
    markers: tuple[Marker, ...]
    console: str
    ram: NDArray[np.uint8]
    code_bytes: int
    stack_bytes: int

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the RAM at an absolute address."""
        return self.ram[address - RAM_BASE : address - RAM_BASE + size].tobytes()

    def cycles_between(self, first: int, second: int) -> int:
        """Cycles from the first marker of value `first` to the next one of value `second`.

        Raises
        ------
        SimulationError : the firmware did not set them in this order.
        """
        begin = [marker.cycle for marker in self.markers if marker.value == first][:1]
        end = [m.cycle for m in self.markers if begin and m.value == second and m.cycle > begin[0]]
        if not end:
            raise SimulationError(f"the firmware set no marker {second} after a marker {first}")
        return end[0] - begin[0]


class SocRunner:
    """The bench SoC in Verilator. The first use of a combination builds it.

    Parameters
    ----------
    core : `vexriscv` or `cv32e40p`.
    npu : the accelerator, or None for none.
    wait_states : of every memory, for CPU and NPU alike: cycles that the first beat of each
        transaction takes beyond the fastest, 0 to 255.
    log : called with one line about each step of a build.

    Raises
    ------
    ConfigError : an unknown core, or wait states out of range.
    BuildError : a package or tool is missing, or a tool failed.
    """

    def __init__(
        self, core: str, npu: NpuConfig | None, wait_states: int = 0, log: Log | None = None
    ) -> None:
        if core not in CORES:
            raise ConfigError(f"unknown core {core!r}, known are {', '.join(CORES)}")
        check_wait_states(wait_states)
        self.core = CORES[core]
        self.npu = npu
        self.wait_states = wait_states
        self._library = open_library(soc_library(self.core, npu, log))

    def run(
        self,
        firmware: Firmware,
        image: bytes = b"",
        progress: Progress | None = None,
        max_cycles: int = DEFAULT_MAX_CYCLES,
    ) -> SocResult:
        """Run firmware from reset until it exits.

        Parameters
        ----------
        firmware : see `build_firmware`.
        image : contents of the image memory.
        progress : called after every slice of the run.
        max_cycles : cycles after which the run counts as hung.

        Raises
        ------
        SimulationError : firmware or image do not fit, the firmware trapped, its CPU accessed an
            address where nothing is, or it did not exit in time.
        """
        handle = self._library.soc_create(self.wait_states)
        try:
            self._load(handle, _CODE, firmware.code, "the firmware's code")
            self._load(handle, _IMAGE, image, "the network image")
            self._library.soc_reset(handle)
            state = self._wait(handle, progress, max_cycles)
            return self._result(handle, state, firmware)
        finally:
            self._library.soc_destroy(handle)

    def _memory(self, handle: int, index: int) -> NDArray[np.uint8]:
        size = ctypes.c_uint64()
        address = self._library.soc_memory(handle, index, ctypes.byref(size))
        if address is None or size.value != _SIZES[index]:
            raise SimulationError(f"memory {index} of the SoC is not of {_SIZES[index]} bytes")
        pointer = ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8))
        return np.ctypeslib.as_array(pointer, (_SIZES[index],))

    def _load(self, handle: int, index: int, content: bytes, what: str) -> None:
        if len(content) > _SIZES[index]:
            raise SimulationError(f"{what} is {len(content)} bytes, its memory {_SIZES[index]}")
        self._memory(handle, index)[: len(content)] = np.frombuffer(content, np.uint8)

    def _wait(self, handle: int, progress: Progress | None, max_cycles: int) -> State:
        state = State()
        status = RUNNING
        while status == RUNNING:
            self._library.soc_state(handle, ctypes.byref(state))
            if progress is not None:
                progress(state.cycles, state.markers)
            if state.cycles >= max_cycles:
                raise SimulationError(
                    f"the firmware did not exit within {max_cycles} cycles"
                    f" on {self.core.name}; {self._describe(handle, state)}"
                )
            status = self._library.soc_run(handle, min(SLICE_CYCLES, max_cycles - state.cycles))
        self._library.soc_state(handle, ctypes.byref(state))
        if status == FAULT:
            raise SimulationError(
                f"the firmware accessed {state.fault_address:#010x}, where nothing is that allows"
                f" it; {self._describe(handle, state)}"
            )
        if state.trapped:
            raise SimulationError(
                f"the firmware trapped at {state.trap_address:#010x} with mcause"
                f" {state.exit_code - ExitCode.TRAP}; {self._describe(handle, state)}"
            )
        return state

    def _describe(self, handle: int, state: State) -> str:
        markers = self._markers(handle, state)
        last = f"marker {markers[-1].value} in cycle {markers[-1].cycle}" if markers else "none"
        text = self._console(handle, state).strip().splitlines()
        return f"cycle {state.cycles}, last marker: {last}, last line: {text[-1] if text else ''!r}"

    def _markers(self, handle: int, state: State) -> tuple[Marker, ...]:
        if not state.markers:
            return ()
        raw = ctypes.string_at(self._library.soc_markers(handle), state.markers * MARKER.itemsize)
        entries = np.frombuffer(raw, MARKER)
        return tuple(Marker(int(entry["cycle"]), int(entry["value"])) for entry in entries)

    def _console(self, handle: int, state: State) -> str:
        raw = ctypes.string_at(self._library.soc_console(handle), state.console_bytes)
        return raw.decode("utf-8", errors="replace")

    def _result(self, handle: int, state: State, firmware: Firmware) -> SocResult:
        ram = self._memory(handle, _RAM).copy()
        return SocResult(
            cycles=int(state.cycles),
            exit_code=int(state.exit_code),
            markers=self._markers(handle, state),
            console=self._console(handle, state),
            ram=ram,
            code_bytes=len(firmware.code),
            stack_bytes=_stack_bytes(ram),
        )


def check_wait_states(wait_states: int) -> None:
    """Raise `ConfigError` for a number of wait states that the SoC cannot have."""
    if isinstance(wait_states, bool) or not isinstance(wait_states, int):
        raise ConfigError(f"wait_states must be an integer, got {wait_states!r}")
    if not 0 <= wait_states <= MAX_WAIT_STATES:
        raise ConfigError(f"wait_states must be between 0 and {MAX_WAIT_STATES}, got {wait_states}")


def _stack_bytes(ram: NDArray[np.uint8]) -> int:
    """RAM is all zeros before a run and the stack grows down from its top."""
    used = np.flatnonzero(ram[-STACK_BYTES:])
    return STACK_BYTES - int(used[0]) if len(used) else 0
