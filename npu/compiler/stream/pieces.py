"""Cutting an operator's outputs along channels: what one command computes."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from npu.compiler.terms.geometry import ceil_div
from npu.compiler.terms.layout import input_planes
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.piece import Piece
from npu.compiler.terms.tasks import GridTask
from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import Destination, Opcode

BUFFER_SHARE = 8
"""A piece's weights and parameters take at most this fraction of their buffers, unless one output
word alone takes more: pieces behind it then arrive while it is computed."""

BLOCK_SHARE = 4
"""A block takes at most this fraction of the weight buffer: a narrower one fetches the activations
more often."""

MAX_BLOCKS = (1 << 12) - 1
"""Blocks of one command at most (a limit of its encoding)."""


def weight_words(task: GridTask, piece: Piece, config: NpuConfig) -> int:
    """Weight buffer words that a piece of a task consumes."""
    if task.weights is None:
        return 0
    steps = piece.blocks * task.kernel_steps(config)
    if task.opcode == Opcode.DEPTHWISE:
        return steps
    low, high = input_planes(task, piece.first, piece.end(config), config)
    return steps * piece.depth * (high - low)


def cut(task: GridTask, count: int, config: NpuConfig) -> tuple[Piece, ...]:
    """Cut a task into about `count` pieces, more where they would not fit the buffers well."""
    words = task.ofm.planes(config.lanes)
    n = config.groups_per_word
    block_words = config.block_words if task.opcode == Opcode.CONV else 1
    block_words = min(block_words, words)
    if task.parameters is not None:
        block_words = min(block_words, config.parameter_blocks)
    limit = config.weight_words // BLOCK_SHARE
    while block_words > 1 and weight_words(task, Piece(0, 1, block_words * n), config) > limit:
        block_words = ceil_div(block_words, 2)
    most = _blocks_that_fit(task, block_words, config)
    if task.groups > 1:
        most = 1
    full, rest = divmod(words, block_words)
    most = min(most, max(ceil_div(full, count), 1))
    pieces = []
    for first in range(0, full, most):
        blocks = min(most, full - first)
        pieces.append(Piece(first * block_words, blocks, block_words * n))
    if rest:
        pieces.append(Piece(full * block_words, 1, rest * n))
    return tuple(pieces)


def tapered(pieces: tuple[Piece, ...], config: NpuConfig) -> tuple[Piece, ...]:
    """The last piece cut in halves down to a block, so that little is left to compute when the
    last weights have arrived."""
    *front, last = pieces
    while last.blocks > 1:
        half = replace(last, blocks=ceil_div(last.blocks, 2))
        front.append(half)
        last = replace(last, first=half.end(config), blocks=last.blocks - half.blocks)
    return (*front, last)


def _blocks_that_fit(task: GridTask, block_words: int, config: NpuConfig) -> int:
    block = Piece(0, 1, block_words * config.groups_per_word)
    most = MAX_BLOCKS
    if task.parameters is not None:
        most = max(config.parameter_blocks // BUFFER_SHARE // block_words, 1)
    weights = weight_words(task, block, config)
    if weights:
        most = min(most, max(config.weight_words // BUFFER_SHARE // weights, 1))
    return most


def parameter_bytes_per_channel(task: GridTask) -> int:
    """Bytes that a LOAD brings to the parameter buffer for each output."""
    match task.parameters:
        case None:
            return 0
        case Destination.BIASES:
            return BIAS_BYTES
        case _:
            return PARAMETER_BYTES


class ConstantSize(NamedTuple):
    """What weights and parameters take: bytes that are loaded, and blocks of the buffer."""

    weight_bytes: int = 0
    parameter_bytes: int = 0
    parameter_blocks: int = 0

    @property
    def bytes(self) -> int:
        """Bytes that are loaded in all."""
        return self.weight_bytes + self.parameter_bytes


def constant_size(op: LoweredOperator, config: NpuConfig) -> ConstantSize:
    """Weights and parameters of an operator."""
    weights = parameters = blocks = 0
    for task in op.tasks:
        if isinstance(task, GridTask):
            words = sum(weight_words(task, piece, config) for piece in cut(task, 1, config))
            weights += words * config.channels * config.lanes
            planes = task.ofm.planes(config.lanes)
            parameters += planes * config.lanes * parameter_bytes_per_channel(task)
            blocks += planes if task.parameters is not None else 0
    return ConstantSize(weights, parameters, blocks)


def reloaded_bytes(sizes: Sequence[ConstantSize], config: NpuConfig) -> int:
    """Bytes to load again when operators that need `sizes` run in turn, time and again.

    Buffers are rings, whose wrap may waste a piece.
    """
    total = [sum(column) for column in zip(*sizes, strict=True)]
    share = (BUFFER_SHARE - 1) / BUFFER_SHARE
    again = 0
    if total[0] > share * config.weight_buffer_kib * 1024:
        again += total[0]
    if total[2] > share * config.parameter_blocks:
        again += total[1]
    return again


def smallest_weights(op: LoweredOperator, config: NpuConfig) -> int:
    """Bytes of weights of the largest one-word piece: what the weight buffer must hold."""
    if op.direct is not None:
        return op.direct.smallest_weights(config)
    n = config.groups_per_word
    words = [
        weight_words(task, Piece(word, 1, n), config)
        for task in op.tasks
        if isinstance(task, GridTask)
        for word in (range(task.ofm.planes(config.lanes)) if task.groups > 1 else (0,))
    ]
    return max(words, default=0) * config.channels * config.lanes
