"""Multipliers and block RAMs of a configuration on ECP5: both follow from its structure."""

from collections.abc import Iterator

from rtl.buffers import LUT_RAM_LANES
from rtl.config import LIST_ROWS, LISTED_DEPTH, PARAMETER_BYTES, NpuConfig

MULTIPLIERS_PER_LANE = 6
"""MULT18X18D of a requantizer (4) and of the operand scaler before it (2)."""

# DP16KD as yosys uses it with a port to write and one to read: data bits, and words of that width
_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


def multipliers(config: NpuConfig) -> int:
    """MULT18X18D: one for each MAC, and those of the output stage."""
    return config.macs_per_cycle + MULTIPLIERS_PER_LANE * config.requant_lanes


def block_rams(config: NpuConfig) -> int:
    """DP16KD of all memories on chip; small ones in LUT RAM are not among them."""
    return sum(
        count * _cells(width, words, by_byte=by_byte)
        for count, width, words, by_byte in _memories(config)
    )


def _memories(config: NpuConfig) -> Iterator[tuple[int, int, int, bool]]:
    """How many of each, bits of a word, words, and whether bytes are written one by one."""
    word = config.lanes * 8
    yield config.banks, word, config.bank_depth, True
    yield config.channels, word, config.weight_words, False
    parameters = config.parameter_blocks * config.requant_parts
    yield PARAMETER_BYTES, config.parameter_lanes * 8, parameters, False
    if config.pruned_weights:
        yield 1, 8 * LISTED_DEPTH, LIST_ROWS, False
    if config.requant_lanes > LUT_RAM_LANES:
        yield config.requant_lanes, word, config.table_rows, False


def _cells(width: int, words: int, *, by_byte: bool) -> int:
    """The fewest cells that make up a memory."""
    return min(_wide(width, bits, by_byte=by_byte) * -(-words // deep) for bits, deep in _SHAPES)


def _wide(width: int, bits: int, *, by_byte: bool) -> int:
    """Cells side by side: with enables for bytes a cell's ninth bits lie idle."""
    if by_byte and bits >= 9:
        bits = bits // 9 * 8
    return -(-width // bits)
