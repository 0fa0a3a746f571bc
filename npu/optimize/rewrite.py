"""Writes a `.tflite` file anew with other weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import ModelError
from npu.model.file_writer import AlignedBuffer, pack_model
from npu.model.schema import CORRUPTION_ERRORS, schema
from npu.optimize.weights import LayerWeights


@dataclass(frozen=True, eq=False)
class NewTensor:
    """What a constant tensor becomes.

    Attributes
    ----------
    tensor : its index in the first subgraph.
    data : the new bytes.
    scales : float32, one or one per channel; None leaves them.
    type : a `TensorType`; None leaves it.
    """

    tensor: int
    data: bytes
    scales: NDArray[np.float32] | None = None
    type: int | None = None


def replace_codes(content: bytes, layers: Sequence[LayerWeights]) -> bytes:
    """The file with the codes of `layers` in place of its own; scales stay as they are."""
    return replace_constants(
        content, [NewTensor(layer.tensor, layer.codes.tobytes()) for layer in layers]
    )


def replace_constants(content: bytes, changes: Sequence[NewTensor]) -> bytes:
    """The file with other constants; everything else keeps its meaning and its index.

    A buffer that other tensors share stays theirs.

    Raises
    ------
    ModelError : the file is corrupted in what no reader has looked at.
    """
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        model.buffers = [_aligned(content, buffer) for buffer in model.buffers]
        tensors = model.subgraphs[0].tensors
        users: dict[int, int] = {}
        for graph in model.subgraphs:
            for tensor in graph.tensors:
                users[tensor.buffer] = users.get(tensor.buffer, 0) + 1
        for change in changes:
            tensor = tensors[change.tensor]
            if users[tensor.buffer] > 1:
                users[tensor.buffer] -= 1
                tensor.buffer = len(model.buffers)
                model.buffers.append(schema.BufferT())
                users[tensor.buffer] = 1
            model.buffers[tensor.buffer] = AlignedBuffer(change.data)
            if change.scales is not None:
                tensor.quantization.scale = change.scales.astype(np.float32)
                tensor.quantization.zeroPoint = np.zeros(len(change.scales), np.int64)
            if change.type is not None:
                tensor.type = change.type
        return pack_model(model)
    except CORRUPTION_ERRORS as error:
        raise ModelError(
            f"the model is corrupted: {type(error).__name__} while writing it anew"
        ) from None


def pack_int4(codes: NDArray[np.int8]) -> bytes:
    """Values from -8 to 7 as TFLM stores them: two in a byte, the low half first."""
    flat = codes.reshape(-1)
    nibbles = np.append(flat, np.zeros(flat.size % 2, np.int8)).astype(np.uint8) & 15
    return bytes((nibbles[::2] | nibbles[1::2] << 4).astype(np.uint8))


def _aligned(content: bytes, buffer: Any) -> Any:
    if buffer.offset > 1:
        # data behind the tables: in the new file they come into them
        return AlignedBuffer(content[buffer.offset : buffer.offset + buffer.size])
    if buffer.data is None or len(buffer.data) == 0:
        return schema.BufferT()
    return AlignedBuffer(bytes(np.asarray(buffer.data, np.uint8)))
