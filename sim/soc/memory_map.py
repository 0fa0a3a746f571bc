"""Addresses of the bench SoC, for hardware, firmware and harness alike.

RAM is divided: the results of a run at its start, where the harness looks for them, then the
firmware's variables, then the tensor arena; the stack grows down from the end.
"""

from enum import IntEnum

CODE_BASE = 0x0000_0000
CODE_BYTES = 1 << 20
IMAGE_BASE = 0x1000_0000
IMAGE_BYTES = 1 << 24
RAM_BASE = 0x2000_0000
RAM_BYTES = 1 << 24
DEVICES_BASE = 0x8000_0000
NPU_BASE = 0x9000_0000

RESULTS_BASE = RAM_BASE
RESULTS_BYTES = 0x4000
VARIABLES_BASE = RESULTS_BASE + RESULTS_BYTES
VARIABLES_BYTES = 0xC000
ARENA_BASE = VARIABLES_BASE + VARIABLES_BYTES
STACK_BYTES = 0x1_0000
STACK_TOP = RAM_BASE + RAM_BYTES
ARENA_LIMIT = STACK_TOP - STACK_BYTES - ARENA_BASE
"""The largest arena, in bytes."""


class Device(IntEnum):
    """Byte offsets of the 32-bit registers at `DEVICES_BASE`."""

    CONSOLE = 0x00
    EXIT = 0x04
    CYCLES_LOW = 0x08
    CYCLES_HIGH = 0x0C
    PHASE = 0x10
    WAIT_STATES = 0x14
    TRAP = 0x18


class Phase(IntEnum):
    """Values written to `Device.PHASE`; operator i of an image starts with `OPERATOR + i`."""

    START = 1
    END = 2
    OPERATOR = 0x100


class ExitCode(IntEnum):
    """Values written to `Device.EXIT`; `TRAP + mcause` is the start-up code's."""

    OK = 0
    BAD_IMAGE = 1
    UNKNOWN_OPERATOR = 2
    NPU_ERROR = 3
    TRAP = 0x40
