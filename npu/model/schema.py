"""The `.tflite` schema, as Google publishes it with LiteRT, and the names of its enumerations."""

import struct
from typing import Any

from ai_edge_litert import schema_py_generated as schema

__all__ = [
    "COMPILED_OPERATOR",
    "CORRUPTION_ERRORS",
    "OPERATOR_NAMES",
    "TYPE_NAMES",
    "schema",
    "text_field",
]

CORRUPTION_ERRORS = (
    struct.error,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
)
"""What the generated classes and numpy raise on offsets and lengths that lead nowhere."""


COMPILED_OPERATOR = "NPU"
"""The custom operator into which `npu compile` makes what runs on the NPU."""


def _names(enumeration: type) -> dict[int, str]:
    return {code: name for name, code in vars(enumeration).items() if isinstance(code, int)}


OPERATOR_NAMES = _names(schema.BuiltinOperator)
TYPE_NAMES = _names(schema.TensorType)


def text_field(data: bytes, table: Any, field: int) -> str:
    """The string in field number `field` of a `table` in the file `data`; empty when it is absent.

    The generated accessor cuts a string off at the end of a truncated file without a word; this
    one raises `IndexError`.
    """
    flat = table._tab
    offset = flat.Offset(4 + 2 * field)
    if offset == 0:
        return ""
    start = flat.Vector(offset)
    end = start + flat.VectorLen(offset)
    if end >= len(data):
        raise IndexError(f"a string ends at byte {end} of {len(data)}")
    return data[start:end].decode("utf-8", errors="replace")
