"""The C headers that the firmware takes from Python, so that no number is written twice."""

from collections.abc import Iterable
from pathlib import Path

from rtl.driver_files import FOLDER as DRIVER
from rtl.driver_files import driver_headers
from rtl.register_header import constants, guarded, named
from sim.soc import memory_map
from sim.soc.firmware import image_format

FOLDER = Path(__file__).parent
"""Where the C sources are."""
FOLDERS = (FOLDER, DRIVER)
"""Where what they include is."""
WITH_NPU = "WITH_NPU"
"""The preprocessor symbol of firmware for an SoC with an NPU; without it no driver is compiled."""

KERNEL_SETS = ("reference", "optimized", "simd")
_COMMON_SOURCES = (
    *("main.c", "runtime.c", "kernels_shared.c", "softmax.c"),
    *("bytes.c", "fixed_point.c"),
)
_TARGET_SOURCES = ("libc.c",)
_NPU_SOURCES = (FOLDER / "npu_board.c", DRIVER / "npu_driver.c")

_STRUCTURES = {
    "image_header": image_format.HEADER,
    "image_operator": image_format.OPERATOR,
    "image_input": image_format.INPUT,
    "image_output": image_format.OUTPUT,
    "results": image_format.RESULTS,
    "operator_result": image_format.OPERATOR_RESULT,
    "convolution": image_format.CONVOLUTION,
    "depthwise": image_format.DEPTHWISE,
    "fully_connected": image_format.FULLY_CONNECTED,
    "elementwise": image_format.ELEMENTWISE,
    "pool": image_format.POOL,
    "mean": image_format.MEAN,
    "softmax": image_format.SOFTMAX,
    "requantize": image_format.REQUANTIZE,
    "table": image_format.TABLE,
    "copy": image_format.COPY,
    "fill": image_format.FILL,
    "npu": image_format.NPU,
}


def sources(kernel_set: str, with_npu: bool) -> tuple[Path, ...]:
    """The C files of a firmware with one of `KERNEL_SETS`; start-up code is not among them.

    `with_npu`: for an SoC that has one; define `WITH_NPU` then.

    Raises `ValueError` for another set.
    """
    if kernel_set not in KERNEL_SETS:
        allowed = ", ".join(KERNEL_SETS)
        raise ValueError(f"kernel set is {kernel_set!r}; allowed are {allowed}")
    names = (*_COMMON_SOURCES, f"kernels_{kernel_set}.c", *_TARGET_SOURCES)
    return (*(FOLDER / name for name in names), *(_NPU_SOURCES if with_npu else ()))


def headers(with_npu: bool) -> dict[str, str]:
    """The text of every generated header, by file name; those of the driver only `with_npu`."""
    own = {"memory_map.h": _memory_map(), "image_format.h": _image_format()}
    return own | (driver_headers() if with_npu else {})


def write_headers(folder: Path) -> None:
    """Write every generated header into `folder`."""
    for name, text in headers(with_npu=True).items():
        (folder / name).write_text(text, encoding="utf-8")


def _guarded(name: str, lines: Iterable[str]) -> str:
    return guarded(name, "sim/soc/firmware/headers.py", lines)


def _memory_map() -> str:
    names = ("IMAGE_BASE", "RESULTS_BASE", "RESULTS_BYTES", "ARENA_BASE", "ARENA_LIMIT")
    bases = {name: int(getattr(memory_map, name)) for name in (*names, "DEVICES_BASE", "NPU_BASE")}
    return _guarded(
        "memory_map.h",
        [
            *constants("", bases),
            *constants("", named("DEVICE", memory_map.Device)),
            *constants("", named("PHASE", memory_map.Phase)),
            *constants("", named("EXIT", memory_map.ExitCode)),
        ],
    )


def _image_format() -> str:
    unsigned = ("IMAGE_MAGIC", "IMAGE_VERSION", "RESULTS_MAGIC")
    signed = ("COPY_RANK", "CHANNEL_BLOCK", "SUMS_AT_ONCE")
    lines = ["#include <stdint.h>", ""]
    lines += constants("", {name: int(getattr(image_format, name)) for name in unsigned})
    lines += [f"#define {name} {getattr(image_format, name)}" for name in signed]
    lines += constants("", named("OPERATOR", image_format.Kind))
    for name, fields in _STRUCTURES.items():
        members = [f"    int32_t {member};" for member in _members(fields)]
        lines += ["", f"struct {name} {{", *members, "};"]
    return _guarded("image_format.h", lines)


def _members(fields: image_format.Fields) -> list[str]:
    """The fields, with those numbered 0 to COPY_RANK - 1 as one array each."""
    numbered = {f"{name}{i}": (name, i) for name in _ARRAYS for i in range(image_format.COPY_RANK)}
    members = []
    for field in fields:
        name, index = numbered.get(field, (field, -1))
        if index < 0:
            members.append(field)
        elif index == 0:
            members.append(f"{name}[{image_format.COPY_RANK}]")
    return members


_ARRAYS = ("extent", "input_stride", "output_stride")
