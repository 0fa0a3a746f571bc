"""The driver's C sources and the headers that they are compiled with."""

from pathlib import Path

from rtl.register_header import register_header
from rtl.segment_header import segment_header

FOLDER = Path(__file__).parent / "driver"
"""Where the sources are that are written by hand."""
SOURCES = ("npu_driver.h", "npu_driver.c", "npu_tflm.h", "npu_tflm.cc")


def driver_headers() -> dict[str, str]:
    """The text of the generated headers that the driver includes, by name."""
    return {"npu_registers.h": register_header(), "npu_segment.h": segment_header()}


def driver_files() -> dict[str, str]:
    """The text of every file that firmware needs, by name."""
    files = {name: (FOLDER / name).read_text(encoding="utf-8") for name in SOURCES}
    return files | driver_headers()
