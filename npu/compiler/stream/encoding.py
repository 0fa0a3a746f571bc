"""Which of the encodings that the hardware decodes is best for the weights of a piece.

That is the smallest stream, unless one that is little longer is decoded faster: a cycle of the
decoder counts as much as a byte, of which several are transferred in one.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from npu.compiler.stream.listing import Listed, listed
from npu.compiler.terms.layout import weight_bytes
from npu.compiler.terms.piece import Piece
from npu.compiler.terms.tasks import GridTask
from rtl.config import DECODER_LANES, NpuConfig
from rtl.errors import EncodingError
from rtl.isa import Opcode, Tables
from sim.weight_stream import TABLE_ENTRIES, Encoding, encode_weights

LEAST_SAVED = 64
"""Bytes that an encoding must save: its LOAD is a command of its own."""

MAX_PAIRS = (1 << 20) - 1
"""Pairs of units of a section at most (a limit of the command's encoding)."""


def encoded(
    weights: NDArray[np.uint8], task: GridTask, piece: Piece, config: NpuConfig, whole: bool = True
) -> tuple[NDArray[np.uint8], Encoding] | None:
    """The best stream for packed weights, flat bytes, and how it is encoded.

    `whole` : none of their words is left out. None where the weights as they are take about as
    little, or the hardware decodes nothing.
    """
    if not config.decodes_weights or len(weights) < LEAST_SAVED:
        return None
    units = weights.reshape(-1, DECODER_LANES)
    best: tuple[NDArray[np.uint8], Encoding] | None = None
    most = len(weights) - LEAST_SAVED
    least = len(weights) + len(units)
    for encoding in _candidates(units, task, piece, config, whole):
        if encoding.pairs > MAX_PAIRS or _least_bytes(units, encoding) > most:
            continue
        try:
            stream = encode_weights(units, encoding)
        except EncodingError:
            continue
        # two units are decoded at once without masks
        cycles = encoding.units if encoding.masked else encoding.units // 2
        cycles += encoding.table_cycles
        if len(stream) <= most and len(stream) + cycles < least:
            best, least = (stream, encoding), len(stream) + cycles
    return best


def encoded_piece(
    task: GridTask, piece: Piece, config: NpuConfig
) -> tuple[NDArray[np.uint8], Encoding | None, Listed | None]:
    """What the weights of a piece are in external memory, flat bytes, how they are encoded, and the
    list of their steps if words are left out."""
    weights = weight_bytes(task, piece.first, piece.end(config), piece.depth, config)
    steps = listed(weights, task, piece, config)
    if steps is not None:
        weights = steps.weights
    found = encoded(weights, task, piece, config, steps is None)
    return (*(found or (weights, None)), steps)


def estimated_bytes(weights: NDArray[np.int8] | NDArray[np.uint8], config: NpuConfig) -> int:
    """About how few bytes weights take, with one table for all of them."""
    counts = np.bincount(weights.reshape(-1).view(np.uint8), minlength=256)
    size, zeros = weights.size, int(counts[0])
    values = int(np.count_nonzero(counts))
    small = config.int4_weights and not counts[8:-8].any()
    codes = [
        bits
        for bits in (1, 2, 3, 4)
        if (config.clustered_weights and values <= 1 << bits) or (small and bits == 4)
    ]
    found = [size * bits // 8 for bits in codes]
    if config.masked_weights:
        few = config.clustered_weights and values - (zeros > 0) <= TABLE_ENTRIES
        found.append(size // 8 + (size - zeros) // (2 if few or small else 1))
    return min([size, *(least + LEAST_SAVED for least in found)])


def _candidates(
    units: NDArray[np.uint8], task: GridTask, piece: Piece, config: NpuConfig, whole: bool
) -> Iterator[Encoding]:
    """Encodings that may hold the weights, those of fewer bits first."""
    masks = (False, True) if config.masked_weights else (False,)
    shapes = [(Tables.SHARED, 2, 1)]
    if task.opcode == Opcode.CONV and whole:
        # units of K * depth channels in turn, for each step of each block
        shapes.append((Tables.CHANNELS, config.channels * piece.depth, piece.blocks))
    for masked in masks:
        for tables, pitch, blocks in shapes if config.clustered_weights else ():
            pairs = len(units) // (pitch * blocks)
            for bits in (4,) if masked else (1, 2, 3, 4):
                yield Encoding(bits, tables, masked, pitch, pairs, blocks)
        if config.int4_weights:
            yield Encoding(4, Tables.NONE, masked, 2, len(units) // 2)
    if config.masked_weights:
        yield Encoding(8, Tables.NONE, True, 2, len(units) // 2)


def _least_bytes(units: NDArray[np.uint8], encoding: Encoding) -> int:
    """What a stream takes at least, its tables left out."""
    weights = units.size
    if not encoding.masked:
        return weights * encoding.code_bits // 8
    return int(np.count_nonzero(units)) * encoding.code_bits // 8 + weights // 8
