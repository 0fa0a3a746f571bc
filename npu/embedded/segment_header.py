"""`npu_segment.h`: the bytes of a compiled segment as C structures."""

from npu.embedded.payload import BINDING, HEADER, MAGIC, VERSION
from rtl.register_header import guarded


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
    return guarded("npu_segment.h", "npu/embedded/segment_header.py", lines)
