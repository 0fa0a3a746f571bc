"""Weights that TFLM keeps as indices into tables: what its operator TFLM_DECODE makes of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from npu.model.graph import Tensor

TFLM_DECODE = "CUSTOM:TFLM_DECODE"
"""Its inputs are pairs of tensors, indices and an ancillary one; an output for each pair."""

_HEADER_BYTES = 16
_LUT, _VERSION = 0, 1
_MOST_BITS = 7


def decode_luts(
    inputs: Sequence[NDArray[np.uint8]], outputs: Sequence[Tensor]
) -> list[NDArray[np.generic]]:
    """The values of the operator's outputs.

    The ancillary tensor is a header of 16 bytes and tables: byte 0 says how values are encoded (0:
    by table), bytes 1 and 4 are versions, byte 5 has the bits of an index in 2:0, byte 6 the
    entries from one table to the next. There is a table for each channel of a tensor that is
    quantized by channel, along its first or its last dimension. Indices follow each other, the
    most significant bit first.

    Raises
    ------
    ValueError : another encoding, or sizes that do not fit each other.
    """
    if len(inputs) != 2 * len(outputs):
        raise ValueError(f"{len(inputs)} inputs for {len(outputs)} outputs")
    return [
        _decoded(indices.view(np.uint8), ancillary.view(np.uint8).reshape(-1), tensor)
        for indices, ancillary, tensor in zip(inputs[::2], inputs[1::2], outputs, strict=True)
    ]


def _decoded(
    indices: NDArray[np.uint8], ancillary: NDArray[np.uint8], tensor: Tensor
) -> NDArray[np.generic]:
    header, tables = ancillary[:_HEADER_BYTES], ancillary[_HEADER_BYTES:]
    bits = int(header[5] & 7)
    if header[0] != _LUT or header[1] != _VERSION or not 1 <= bits <= _MOST_BITS:
        raise ValueError(f"weights of type {header[0]}, version {header[1]}, {bits} bits")
    stride = int(header[6])
    quantization = tensor.quantization
    channels = 1 if quantization is None else quantization.scales.size
    values = tables.view(tensor.dtype)
    if values.size != channels * stride:
        raise ValueError(f"{values.size} entries for {channels} tables of {stride}")
    planes = np.unpackbits(indices.reshape(-1))[: tensor.size * bits].reshape(-1, bits)
    places = planes @ (1 << np.arange(bits)[::-1])
    if len(places) != tensor.size or places.max(initial=0) >= stride:
        raise ValueError(f"{len(places)} indices into tables of {stride} for {tensor.size} values")
    number = np.arange(tensor.size)
    last = channels > 1 and quantization is not None and quantization.axis != 0
    channel = number % channels if last else number // (tensor.size // channels)
    found: NDArray[np.generic] = values[channel * stride + places].reshape(tensor.shape)
    return found
