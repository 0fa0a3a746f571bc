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
def channel_parameters(
    parameters: NDArray[np.uint8], first_block: int, blocks: int
) -> NDArray[np.int32]:
    """Assemble the byte planes of consecutive parameter blocks.

    Returns int32 `[3, blocks * C]`: bias, multiplier and shift of every channel.
    """
    lanes = parameters.shape[2]
    result = np.empty((3, blocks * lanes), dtype=np.int32)
    for b in range(blocks):
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
    return result


@njit(cache=True, nogil=True)
def write_row(
    scratchpad: NDArray[np.int8],
    accumulators: NDArray[np.int32],
    parameters: NDArray[np.int32],
    commands: NDArray[Any],
    row: int,
    base: int,
) -> int:
    """Requantize and write one output row; returns an ErrorCode.

    Parameters
    ----------
    scratchpad : int8 `[words, C]`.
    accumulators : int32 `[ofm_width, channels]`, channels a multiple of C.
    parameters : of these channels, from `channel_parameters`.
    commands, row : the compute command.
    base : word address of the row's first pixel, first channel word.
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
                    total, parameters[1, channel], parameters[2, channel]
                )
                value = min(max(value, c.activation_min), c.activation_max)
                scratchpad[address, lane] = np.int8(value)
    return _OK
