"""Models with something changed, and what the reader says of them."""

from collections.abc import Callable
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import pytest
from ai_edge_litert import schema_py_generated as schema

from npu.errors import ModelError
from npu.model.tflite_reader import read_model_bytes


def edited(data: bytes, change: Callable[[Any], None]) -> bytes:
    """The model `data` after `change` to its object form."""
    model = schema.ModelT.InitFromPackedBuf(data)
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def refusal(data: bytes) -> str:
    """The one-line message with which the reader refuses `data`."""
    with pytest.raises(ModelError) as caught:
        read_model_bytes(data, "m")
    message = str(caught.value)
    assert "\n" not in message
    return message
