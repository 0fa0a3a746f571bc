"""The network image and the table of results, each record declared once.

Every record is a sequence of 32-bit little-endian words. `sim.soc.firmware.headers` makes C
structures of them, `npu.speedup.image` writes and reads them. README.md describes the format.
"""

import struct
from enum import IntEnum

IMAGE_MAGIC = int.from_bytes(b"NIMG", "little")
IMAGE_VERSION = 2
RESULTS_MAGIC = int.from_bytes(b"NRES", "little")
ALIGNMENT = 16
"""Bytes to which sections of an image and tensors in the arena are aligned."""
COPY_RANK = 6
CHANNEL_BLOCK = 4
"""Output channels that lie together in packed weights."""
REDUCTION_BLOCK = 4
"""Consecutive values of one output channel in packed weights, and of a column."""
PIXEL_BLOCK = 4
"""Columns that a blocked kernel gathers before it multiplies."""
SUMS_AT_ONCE = 64
"""Accumulators of one channel that a depthwise kernel keeps (or a row of them)."""

Fields = tuple[str, ...]

HEADER: Fields = (
    "magic",
    "version",
    "bytes",
    "arena_bytes",
    "operator_count",
    "operators",
    "input_count",
    "inputs",
    "output_count",
    "outputs",
)
OPERATOR: Fields = ("kind", "network_operator", "parameters", "parameter_bytes")
INPUT: Fields = ("tensor", "source", "target", "bytes")
OUTPUT: Fields = ("tensor", "source", "bytes")

RESULTS: Fields = (
    "magic",
    "exit_code",
    "failed_operator",
    "cycles_low",
    "cycles_high",
    "arena",
    "arena_bytes",
    "operator_count",
    "operators",
)
OPERATOR_RESULT: Fields = ("kind", "network_operator", "cycles", "npu_cycles")


class Kind(IntEnum):
    """What an operator of an image does."""

    CONV_2D = 1
    DEPTHWISE_CONV_2D = 2
    FULLY_CONNECTED = 3
    ADD = 4
    SUB = 5
    MUL = 6
    MAXIMUM = 7
    MINIMUM = 8
    AVERAGE_POOL_2D = 9
    MAX_POOL_2D = 10
    MEAN = 11
    SOFTMAX = 12
    REQUANTIZE = 13
    TABLE = 14
    COPY = 15
    FILL = 16
    NPU = 17


_SPATIAL: Fields = (
    *("batches", "input_height", "input_width", "channels"),
    *("filter_height", "filter_width", "output_height", "output_width"),
    *("stride_y", "stride_x", "pad_top", "pad_left"),
)
_STAGE: Fields = (
    *("input_zero_point", "output_zero_point", "activation_min", "activation_max"),
    *("bias", "folded_bias", "multipliers", "shifts"),
)
_DIMENSIONS = range(COPY_RANK)

CONVOLUTION: Fields = (
    *("input", "output", "weights", "packed_weights", "scratch", *_SPATIAL),
    *("dilation_y", "dilation_x", "output_channels", "filter_channels", *_STAGE),
)
DEPTHWISE: Fields = (
    *("input", "output", "weights", "scratch", *_SPATIAL),
    *("dilation_y", "dilation_x", "depth_multiplier", *_STAGE),
)
FULLY_CONNECTED: Fields = (
    *("input", "output", "weights", "packed_weights", "scratch"),
    *("rows", "inputs", "outputs", *_STAGE),
)
ELEMENTWISE: Fields = (
    *("input1", "input2", "output", "count"),
    *("input1_zero_point", "input2_zero_point", "output_zero_point"),
    *("multiplier1", "shift1", "multiplier2", "shift2", "multiplier", "shift"),
    *("activation_min", "activation_max"),
)
POOL: Fields = ("input", "output", *_SPATIAL, "activation_min", "activation_max")
MEAN: Fields = (
    *("input", "output", "outer", "count", "inner"),
    *("input_zero_point", "output_zero_point", "multiplier", "shift"),
)
SOFTMAX: Fields = ("input", "output", "rows", "length", "multiplier", "shift", "diff_min")
REQUANTIZE: Fields = (
    *("input", "output", "count", "input_zero_point", "output_zero_point"),
    *("multiplier", "shift", "table"),
)
TABLE: Fields = ("input", "output", "count", "table")
COPY: Fields = (
    *("input", "output"),
    *(f"extent{i}" for i in _DIMENSIONS),
    *(f"input_stride{i}" for i in _DIMENSIONS),
    *(f"output_stride{i}" for i in _DIMENSIONS),
)
FILL: Fields = ("output", "bytes", "value")
NPU: Fields = ("segment", "segment_bytes", "arena", "arena_bytes")

PARAMETERS: dict[Kind, Fields] = {
    Kind.CONV_2D: CONVOLUTION,
    Kind.DEPTHWISE_CONV_2D: DEPTHWISE,
    Kind.FULLY_CONNECTED: FULLY_CONNECTED,
    Kind.ADD: ELEMENTWISE,
    Kind.SUB: ELEMENTWISE,
    Kind.MUL: ELEMENTWISE,
    Kind.MAXIMUM: ELEMENTWISE,
    Kind.MINIMUM: ELEMENTWISE,
    Kind.AVERAGE_POOL_2D: POOL,
    Kind.MAX_POOL_2D: POOL,
    Kind.MEAN: MEAN,
    Kind.SOFTMAX: SOFTMAX,
    Kind.REQUANTIZE: REQUANTIZE,
    Kind.TABLE: TABLE,
    Kind.COPY: COPY,
    Kind.FILL: FILL,
    Kind.NPU: NPU,
}


def record_bytes(fields: Fields) -> int:
    """Bytes of a record."""
    return 4 * len(fields)


def pack_record(fields: Fields, values: dict[str, int]) -> bytes:
    """A record; each value is taken modulo 2**32.

    Raises `ValueError` when `values` names other fields than the record has.
    """
    if values.keys() != set(fields):
        wrong = sorted(values.keys() ^ set(fields))
        raise ValueError(f"fields {', '.join(wrong)} are missing or unknown")
    return struct.pack(f"<{len(fields)}I", *(values[name] & 0xFFFF_FFFF for name in fields))


def unpack_record(fields: Fields, data: bytes | memoryview, offset: int = 0) -> dict[str, int]:
    """The record at `offset`, unsigned; `struct.error` when it reaches beyond `data`."""
    words = struct.unpack_from(f"<{len(fields)}I", data, offset)
    return dict(zip(fields, words, strict=True))
