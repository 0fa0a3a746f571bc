"""The output stage: bias, requantization, zero point, clamp, and the write to the scratchpad."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.requantize import multiply_by_quantized_multiplier
from rtl.config import BIAS_BYTES
from rtl.registers import ErrorCode
from sim.functional.transfer import ADDRESS_MASK
from sim.jit import jit, larger, smaller

_OK = int(ErrorCode.NONE)
_SCRATCHPAD_BOUNDS = int(ErrorCode.SCRATCHPAD_BOUNDS)

_MULTIPLIERS = slice(BIAS_BYTES, 2 * BIAS_BYTES)
_SHIFTS = 2 * BIAS_BYTES


def parameters_in_bounds(parameters: NDArray[np.uint8], command: np.void, blocks: int) -> bool:
    """Whether the buffer has the blocks that a command reads: none when it brings its own."""
    unused = command["shared_scale"] != 0 and command["no_bias"] != 0
    return bool(unused or command["parameter_base"] + blocks <= len(parameters))


def channel_parameters(
    parameters: NDArray[np.uint8], command: np.void, blocks: int
) -> NDArray[np.int32]:
    """Output parameters of a command's `blocks` blocks of C channels.

    They come from the byte planes of the buffer, uint8 `[blocks, 9, C]`, or from the command.
    Returns int32 `[3, blocks * C]`: bias, multiplier and shift of every channel.
    """
    first, lanes = command["parameter_base"], parameters.shape[2]
    result = np.zeros((3, blocks * lanes), dtype=np.int32)
    # the bytes of each channel side by side
    channels = parameters[first : first + blocks].transpose(0, 2, 1)
    if command["no_bias"] == 0:
        result[0] = _words(channels[:, :, :BIAS_BYTES])
    if command["shared_scale"] == 0:
        result[1] = _words(channels[:, :, _MULTIPLIERS])
        result[2] = channels[:, :, _SHIFTS].astype(np.int8).reshape(-1)
    else:
        result[1] = command["ofm_multiplier"]
        result[2] = command["ofm_shift"]
    return result


def _words(planes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Little-endian words from bytes `[blocks, C, 4]`."""
    return np.ascontiguousarray(planes).view("<i4").reshape(-1)


@jit
def write_row(
    scratchpad: NDArray[np.int8],
    accumulators: NDArray[np.int32],
    parameters: NDArray[np.int32],
    first: int,
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
    parameters, first : from `channel_parameters`, and where these channels begin in it.
    commands, row : the compute command.
    base : word address of the row's first pixel, first channel word.
    rounding : a `Rounding`.
    """
    c = commands[row]
    lanes = scratchpad.shape[1]
    for word in range(accumulators.shape[1] // lanes):
        for x in range(accumulators.shape[0]):
            address = base + word * c.ofm_plane_pitch + x & ADDRESS_MASK
            if address >= scratchpad.shape[0]:
                return _SCRATCHPAD_BOUNDS
            for lane in range(lanes):
                own = word * lanes + lane
                channel = first + own
                total = np.int32(accumulators[x, own] + parameters[0, channel])
                value = c.ofm_zero_point + multiply_by_quantized_multiplier(
                    np.int64(total),
                    np.int64(parameters[1, channel]),
                    np.int64(parameters[2, channel]),
                    rounding,
                )
                value = smaller(larger(value, c.activation_min), c.activation_max)
                scratchpad[address, lane] = np.int8(value)
    return _OK
