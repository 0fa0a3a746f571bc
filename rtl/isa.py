"""The NPU's command set, declared once.

A command is a sequence of 64-bit beats, little-endian in memory: a header beat, then the beats
of its layout. The decoder in hardware, the encoder, the disassembler and the tables of formats
(`rtl.isa_table`) all derive from `COMMANDS`. What each field does is in `rtl/ARCHITECTURE.md`.

Field kinds: `unsigned(n)` counts and addresses, `signed(n)` zero points, clamps and shifts.
Scratchpad addresses and pitches count words of `lanes` bytes and wrap at 2**20.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data, enum
from numpy.typing import NDArray

from rtl.errors import EncodingError

BEAT_BITS = 64
MAX_LEFT_SHIFT = 7
"""Multipliers of results are below 2**7; the compiler leaves others to the CPU."""

WAIT_BITS = 16
ADDRESS_BITS = 20
REGIONS = 8


class Opcode(enum.IntEnum, shape=8):
    """First byte of every command. Zero is illegal, so that empty memory stops the NPU."""

    CONFIG = 1
    END = 2
    LOAD = 3
    STORE = 4
    CONV = 5
    DEPTHWISE = 6
    MAX_POOL = 7
    ELEMENTWISE = 8


class Engine(enum.IntEnum, shape=2):
    """The decoupled engines, and the dispatcher's own commands."""

    LOAD = 0
    COMPUTE = 1
    STORE = 2
    CONTROL = 3


class Destination(enum.IntEnum, shape=3):
    """Where a LOAD writes."""

    SCRATCHPAD = 0
    WEIGHTS = 1
    PARAMETERS = 2
    TABLE = 3
    BIASES = 4
    ENCODED = 5
    """The weight buffer, through the decoder."""
    LIST = 6


class Tables(enum.IntEnum, shape=2):
    """What the codes of encoded weights stand for."""

    NONE = 0
    SHARED = 1
    CHANNELS = 2


class Function(enum.IntEnum, shape=3):
    """What ELEMENTWISE computes of two operands."""

    ADD = 0
    SUB = 1
    MUL = 2
    MAXIMUM = 3
    MINIMUM = 4
    TABLE = 5


class Region(enum.IntEnum, shape=3):
    """External memory regions, each with a base and a size register; the rest are free."""

    CONSTANTS = 0
    ARENA = 1


Fields = dict[str, Shape]


def _address() -> Shape:
    return unsigned(ADDRESS_BITS)


HEADER: Fields = {
    "opcode": unsigned(8),
    "flags": unsigned(8),
    "wait_load": unsigned(WAIT_BITS),
    "wait_compute": unsigned(WAIT_BITS),
    "wait_store": unsigned(WAIT_BITS),
}

OPTIONAL_FIELDS = ("tables", "masked", "code_bits", "listed", "list_base")
"""Fields that only compressed weights use: 0 where a command does not set them."""

_CONFIG: list[Fields] = [{"config_id": unsigned(32)}]

_LOAD: list[Fields] = [
    {
        "offset": unsigned(32),
        "region": unsigned(3),
        "destination": unsigned(3),
        "rows": unsigned(16),
        "pad_value": signed(8),
        "tables": unsigned(2),
    },
    {
        "row_bytes": unsigned(24),
        "row_stride": unsigned(24),
        "pad_left": unsigned(8),
        "fold": unsigned(1),
        "merge": unsigned(1),
        "lane_offset": unsigned(4),
        "masked": unsigned(1),
    },
    {
        "pixels": unsigned(20),
        "pixel_bytes": unsigned(16),
        "pixel_step": unsigned(16),
        "pixel_words": unsigned(12),
    },
    {
        "base": _address(),
        "row_pitch": _address(),
        "plane_pitch": _address(),
        "code_bits": unsigned(4),
    },
]

_STORE: list[Fields] = [
    {
        "offset": unsigned(32),
        "region": unsigned(3),
        "rows": unsigned(16),
        "pixel_words": unsigned(12),
    },
    {"row_stride": unsigned(24), "pixels": unsigned(20), "pixel_bytes": unsigned(16)},
    {"base": _address(), "row_pitch": _address(), "plane_pitch": _address()},
]

_OUTPUT: Fields = {
    "ofm_multiplier": unsigned(32),
    "ofm_shift": signed(8),
    "ofm_zero_point": signed(8),
    "activation_min": signed(8),
    "activation_max": signed(8),
}
"""What every compute command has in the same place, so that the hardware need not choose."""

_GRID: list[Fields] = [
    _OUTPUT,
    {"ifm_origin": _address(), "ifm_plane_pitch": _address(), "ifm_row_step": _address()},
    {
        "ifm_tap_row_step": _address(),
        "group_step": unsigned(12),
        "tap_step": unsigned(8),
        "window_stride": unsigned(2),
        "group_pixels": unsigned(6),
        "ifm_zero_point": signed(8),
        "shared_scale": unsigned(1),
        "no_bias": unsigned(1),
    },
    {
        "ifm_height": unsigned(16),
        "ifm_width": unsigned(16),
        "ofm_height": unsigned(16),
        "ofm_width": unsigned(16),
    },
    {
        "kernel_height": unsigned(8),
        "kernel_width": unsigned(8),
        "channel_steps": unsigned(12),
        "blocks": unsigned(12),
        "depth": unsigned(6),
        "stride_y": unsigned(8),
        "dilation_y": unsigned(8),
    },
    {
        "pad_top": unsigned(8),
        "pad_left": unsigned(8),
        "weight_base": unsigned(20),
        "parameter_base": unsigned(14),
        "listed": unsigned(1),
        "list_base": unsigned(8),
    },
    {
        "ofm_base": _address(),
        "ofm_plane_pitch": _address(),
        "ofm_row_pitch": unsigned(16),
    },
]

_ELEMENTWISE: list[Fields] = [
    _OUTPUT,
    {"ifm_base": _address(), "ifm2_base": _address(), "ofm_base": _address()},
    {
        "operand_multiplier": unsigned(32),
        "operand_right_shift": unsigned(5),
        "words": _address(),
        "function": unsigned(3),
        "ifm2_repeat": unsigned(1),
        "scale_second": unsigned(1),
    },
    {"ifm_zero_point": signed(8), "ifm2_zero_point": signed(8)},
]


@dataclass(frozen=True)
class CommandFormat:
    """Format of one command.

    Attributes
    ----------
    opcode, engine : what it is and who executes it.
    layout : all beats including the header, as an Amaranth layout; `reserved*` must be zero.
    fields : the shapes of the fields that a program sets (without opcode, flags, reserved).
    """

    opcode: Opcode
    engine: Engine
    layout: data.StructLayout
    fields: Fields

    @cached_property
    def beats(self) -> int:
        """Length in 64-bit beats, header included."""
        return int(self.layout.size) // BEAT_BITS

    @cached_property
    def places(self) -> dict[str, tuple[int, int, int]]:
        """Of each field its first bit, and its smallest and largest value."""
        found = {}
        for name, shape in self.fields.items():
            low = -(1 << shape.width - 1) if shape.signed else 0
            found[name] = self.layout[name].offset, low, low + (1 << shape.width) - 1
        return found


def _format(opcode: Opcode, engine: Engine, beats: list[Fields]) -> CommandFormat:
    members: Fields = {}
    for index, beat in enumerate([HEADER, *beats]):
        free = BEAT_BITS - sum(shape.width for shape in beat.values())
        assert free >= 0, f"beat {index} of {opcode.name} has {-free} bits too many"
        members.update(beat)
        if free:
            members[f"reserved{index}"] = unsigned(free)
    fields = {
        name: shape
        for name, shape in members.items()
        if name not in ("opcode", "flags") and not name.startswith("reserved")
    }
    return CommandFormat(opcode, engine, data.StructLayout(members), fields)


COMMANDS: dict[Opcode, CommandFormat] = {
    opcode: _format(opcode, engine, beats)
    for opcode, engine, beats in [
        (Opcode.CONFIG, Engine.CONTROL, _CONFIG),
        (Opcode.END, Engine.CONTROL, []),
        (Opcode.LOAD, Engine.LOAD, _LOAD),
        (Opcode.STORE, Engine.STORE, _STORE),
        (Opcode.CONV, Engine.COMPUTE, _GRID),
        (Opcode.DEPTHWISE, Engine.COMPUTE, _GRID),
        (Opcode.MAX_POOL, Engine.COMPUTE, _GRID),
        (Opcode.ELEMENTWISE, Engine.COMPUTE, _ELEMENTWISE),
    ]
}

MAX_BEATS = max(command.beats for command in COMMANDS.values())


@dataclass(frozen=True)
class Command:
    """One command: an opcode and a value for every field of its format (waits and
    `OPTIONAL_FIELDS` default to 0)."""

    opcode: Opcode
    fields: dict[str, int]

    def __getitem__(self, name: str) -> int:
        return self.fields.get(name, 0)


def encode(command: Command) -> NDArray[np.uint64]:
    """Encode a command into its beats, uint64 `[beats]`.

    Raises
    ------
    EncodingError : an unknown field, a missing one, or a value outside its range.
    """
    fmt = COMMANDS[command.opcode]
    bits = int(command.opcode)
    unknown = set(command.fields) - set(fmt.fields)
    if unknown:
        raise EncodingError(f"{command.opcode.name} has no field {', '.join(sorted(unknown))}")
    for name, (offset, low, high) in fmt.places.items():
        if name not in command.fields and name not in (*HEADER, *OPTIONAL_FIELDS):
            raise EncodingError(f"{command.opcode.name} needs field {name}")
        value = command[name]
        if not low <= value <= high:
            raise EncodingError(
                f"{command.opcode.name}.{name} must be between {low} and {high}, got {value}"
            )
        bits |= (value & high - low) << offset
    return np.frombuffer(bits.to_bytes(fmt.beats * 8, "little"), dtype="<u8").copy()


def encode_all(commands: list[Command]) -> NDArray[np.uint64]:
    """Encode a command stream, uint64 `[total beats]`."""
    parts = [encode(command) for command in commands]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)


def decode_all(stream: NDArray[np.uint64]) -> list[Command]:
    """Decode a command stream; the inverse of `encode_all`.

    Raises
    ------
    EncodingError : an unknown opcode, a reserved bit that is set, or a truncated command.
    """
    commands: list[Command] = []
    position = 0
    while position < len(stream):
        number = int(stream[position]) & 0xFF
        if number not in {int(opcode) for opcode in Opcode}:
            raise EncodingError(f"command {len(commands)} has unknown opcode {number}")
        fmt = COMMANDS[Opcode(number)]
        beats = stream[position : position + fmt.beats]
        if len(beats) < fmt.beats:
            raise EncodingError(f"command {len(commands)} ({fmt.opcode.name}) is truncated")
        bits = int.from_bytes(beats.astype("<u8").tobytes(), "little")
        fields: dict[str, int] = {}
        for name, member in fmt.layout:
            shape = Shape.cast(member.shape)
            value = bits >> member.offset & (1 << shape.width) - 1
            if shape.signed and value >> shape.width - 1:
                value -= 1 << shape.width
            if name in fmt.fields:
                fields[name] = value
            elif name != "opcode" and value:
                raise EncodingError(
                    f"command {len(commands)} ({fmt.opcode.name}) sets reserved field {name}"
                )
        commands.append(Command(fmt.opcode, fields))
        position += fmt.beats
    return commands
