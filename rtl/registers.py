"""The register map of the AXI4-Lite subordinate, error codes and counter events, each stated once.

RTL, the C++ harness, cocotb tests and drivers read the numbers from here.
"""

from amaranth.lib import enum

from rtl.config import NpuConfig
from rtl.isa import REGIONS

ID_VALUE = 0x3055504E
"""`NPU0` in ASCII, little-endian."""


class Register(enum.IntEnum):
    """Byte offsets of the 32-bit registers."""

    ID = 0x000
    CONFIG_ID = 0x004
    CONTROL = 0x008
    STATUS = 0x00C
    IRQ_ENABLE = 0x010
    ERROR_CODE = 0x014
    ERROR_COMMAND = 0x018
    COMMAND_BASE = 0x020
    COMMAND_BYTES = 0x024
    BUS_TIMEOUT = 0x028
    BUS_ATTRIBUTES = 0x02C
    REGION_BASE = 0x040
    REGION_SIZE = 0x080
    EVENTS = 0x100


class Control(enum.IntFlag):
    """Bits of `CONTROL`, each a pulse when written with 1."""

    START = 1
    CLEAR_IRQ = 2
    RESET = 4


class Status(enum.IntFlag):
    """Bits of `STATUS`. `DONE` and `ERROR` stay until the next start or reset."""

    BUSY = 1
    DONE = 2
    ERROR = 4
    IRQ = 8


class ErrorCode(enum.IntEnum, shape=8):
    """Why the NPU stopped; `ERROR_COMMAND` holds the index of the command that caused it."""

    NONE = 0
    ILLEGAL_OPCODE = 1
    ILLEGAL_FIELD = 2
    CONFIG_MISMATCH = 3
    TRUNCATED_STREAM = 4
    REGION_BOUNDS = 5
    SCRATCHPAD_BOUNDS = 6
    BUFFER_BOUNDS = 7
    READ_BUS = 8
    WRITE_BUS = 9
    DEADLOCK = 10
    FETCH_BUS = 11
    BUS_TIMEOUT = 12


TIMEOUT_UNIT = 1024
"""`BUS_TIMEOUT` counts units of so many cycles; 0 means for ever."""

TIMEOUT_BITS = 16

DEFAULT_TIMEOUT = 1024
"""Of `BUS_TIMEOUT` after a reset: about a million cycles."""


class BusAttribute(enum.IntEnum):
    """The lowest bit of each field of `BUS_ATTRIBUTES`; all are zero after a reset."""

    ARCACHE = 0
    AWCACHE = 4
    PROT = 8


class Event(enum.IntEnum):
    """Counter events. Each counts cycles (or beats, words) since `START`; register
    `EVENTS + 4 * n` holds the low 32 bits of event n."""

    CYCLES = 0
    LOAD_BUSY = 1
    COMPUTE_BUSY = 2
    STORE_BUSY = 3
    MAC_ACTIVE = 4
    MAC_WAIT_WINDOW = 5
    MAC_WAIT_ACCUMULATOR = 6
    OUTPUT_ACTIVE = 7
    FETCH_ACTIVE = 8
    LOAD_WAIT = 9
    COMPUTE_WAIT = 10
    STORE_WAIT = 11
    READ_BEATS = 12
    WRITE_BEATS = 13
    LOAD_WRITE_STALL = 14
    STORE_READ_STALL = 15


def counted_events(config: NpuConfig) -> list[Event]:
    """The events that this hardware counts; the counters of all others read zero."""
    return list(Event)[: config.counters]


def region_base(region: int) -> int:
    """Byte offset of the base address register of an external memory region."""
    return Register.REGION_BASE + 4 * region


def region_size(region: int) -> int:
    """Byte offset of the size register (bytes) of an external memory region."""
    return Register.REGION_SIZE + 4 * region


def event_counter(event: Event) -> int:
    """Byte offset of an event's counter."""
    return Register.EVENTS + 4 * event


assert region_base(REGIONS) <= Register.REGION_SIZE
assert region_size(REGIONS) <= Register.EVENTS
