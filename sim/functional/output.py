"""The output stage: bias, requantization, zero point, clamp, and the write to the scratchpad."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kernels.requantize import multiply_by_quantized_multiplier
from rtl.registers import ErrorCode
from sim.functional.transfer import ADDRESS_MASK

_OK = int(ErrorCode.NONE)
_SCRATCHPAD_BOUNDS = int(ErrorCode.SCRATCHPAD_BOUNDS)


@njit(cache=True, nogil=True)
def parameters_in_bounds(
    parameters: NDArray[np.uint8], commands: NDArray[Any], row: int, blocks: int
) -> bool:
    """Whether the buffer has the blocks that a command reads: none when it brings its own."""
    c = commands[row]
    unused = c.shared_scale != 0 and c.no_bias != 0
    return bool(unused or c.parameter_base + blocks <= len(parameters))


@njit(cache=True, nogil=True)
def channel_parameters(
    parameters: NDArray[np.uint8], commands: NDArray[Any], row: int, first: int, blocks: int
) -> NDArray[np.int32]:
    """Output parameters of a command's blocks `first` to `first + blocks - 1`.

    They come from the byte planes of the buffer, or from the command.
    Returns int32 `[3, blocks * C]`: bias, multiplier and shift of every channel.
    """
    command = commands[row]
    lanes = parameters.shape[2]
    result = np.zeros((3, blocks * lanes), dtype=np.int32)
    first_block = command.parameter_base + first
    for b in range(blocks):
        if command.shared_scale != 0 and command.no_bias != 0:
            break
        planes = parameters[first_block + b]
        for c in range(lanes):
            bias = np.uint32(0)
            multiplier = np.uint32(0)
            for byte in range(4):
                bias |= np.uint32(np.uint32(planes[byte, c]) << np.uint32(8 * byte))
                multiplier |= np.uint32(np.uint32(planes[4 + byte, c]) << np.uint32(8 * byte))
            result[0, b * lanes + c] = np.int32(bias)
            result[1, b * lanes + c] = np.int32(multiplier)
            result[2, b * lanes + c] = np.int8(planes[8, c])
    if command.no_bias != 0:
        result[0, :] = 0
    if command.shared_scale != 0:
        result[1, :] = np.int32(command.ofm_multiplier)
        result[2, :] = np.int32(command.ofm_shift)
    return result


@njit(cache=True, nogil=True)
def write_row(
    scratchpad: NDArray[np.int8],
    accumulators: NDArray[np.int32],
    parameters: NDArray[np.int32],
    commands: NDArray[Any],
    row: int,
    base: int,
    rounding: int,
) -> int:
    """Requantize and write one output row; returns an ErrorCode.

    Parameters
    ----------
    scratchpad : int8 `[words, C]`.
    accumulators : int32 `[ofm_width, channels]`, channels a multiple of C.
    parameters : of these channels, from `channel_parameters`.
    commands, row : the compute command.
    base : word address of the row's first pixel, first channel word.
    rounding : a `Rounding`.
    """
    c = commands[row]
    lanes = scratchpad.shape[1]
    for word in range(accumulators.shape[1] // lanes):
        for x in range(accumulators.shape[0]):
            address = base + word * c.ofm_plane_pitch + x & ADDRESS_MASK
            if address >= len(scratchpad):
                return _SCRATCHPAD_BOUNDS
            for lane in range(lanes):
                channel = word * lanes + lane
                total = np.int32(accumulators[x, channel] + parameters[0, channel])
                value = c.ofm_zero_point + multiply_by_quantized_multiplier(
                    total, parameters[1, channel], parameters[2, channel], rounding
                )
                value = min(max(value, c.activation_min), c.activation_max)
                scratchpad[address, lane] = np.int8(value)
    return _OK
