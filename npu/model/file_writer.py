"""Writes a model of the schema's classes as a `.tflite` file."""

from typing import Any

import flatbuffers  # type: ignore[import-untyped]

from npu.model.schema import schema

IDENTIFIER = b"TFL3"
ALIGNMENT = 16
"""TFLM reads constants in place, by aligned loads; the schema's `force_align` is lost in Python."""


def pack_model(model: Any) -> bytes:
    """The file of a `ModelT`; its buffers should be of `AlignedBuffer`."""
    builder = flatbuffers.Builder(1 << 12)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


class AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    """A buffer of constants, at an address that TFLM can read from."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.bytes = data

    def Pack(self, builder: Any) -> int:  # noqa: N802 (overrides generated code)
        """Append the buffer to the file; returns its offset."""
        builder.StartVector(1, len(self.bytes), ALIGNMENT)
        builder.head -= len(self.bytes)
        builder.Bytes[builder.head : builder.head + len(self.bytes)] = self.bytes
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))
