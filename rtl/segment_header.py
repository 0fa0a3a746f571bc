"""A compiled segment's records, as the driver reads them, and `npu_segment.h`, the same in C.

A segment is a header of 32-bit little-endian words (`HEADER`), then one `BINDING` for each input
and output, the command stream and the constants, both at multiples of `ALIGNMENT`.
"""

from rtl.register_header import guarded

MAGIC = int.from_bytes(b"NPUS", "little")
VERSION = 1
ALIGNMENT = 16
"""Bytes: what the file format grants its buffers."""

HEADER = (
    *("magic", "version", "config_id", "bytes"),
    *("command_offset", "command_bytes", "constant_offset", "constant_bytes", "arena_bytes"),
    *("input_count", "output_count", "macs_low", "macs_high"),
)
"""The words of the header. Offsets count from its start; `bytes` are of the whole."""
BINDING = ("offset", "bytes")
"""The words for a tensor: where it lies in the arena."""


def segment_header() -> str:
    """The text of the header."""
    lines = [
        "#include <stdint.h>",
        "",
        f"#define NPU_SEGMENT_MAGIC {MAGIC:#x}u",
        f"#define NPU_SEGMENT_VERSION {VERSION:#x}u",
        "",
        "/* Little-endian. Offsets count from its start; bindings, of all inputs and then all",
        " * outputs, follow; then commands and constants. */",
        "struct npu_segment {",
        *(f"    uint32_t {name};" for name in HEADER),
        "};",
        "",
        "/* A tensor: where it lies in the arena. */",
        "struct npu_binding {",
        *(f"    uint32_t {name};" for name in BINDING),
        "};",
    ]
    return guarded("npu_segment.h", "rtl/segment_header.py", lines)
