"""Measurements, kept by the content of everything that they depend on.

They are looked up in the user's cache and then in the set that ships with the project,
`measured/*.json`, which `python -m npu.speedup.regenerate` writes. A key covers the firmware's
sources and flags, the bench's Verilog, wait states and network image, and with an NPU its
configuration and the sources of its RTL, all without comments; so an entry that has become stale is
never found. It does not cover the releases of the compiler and of the CPUs' packages, which
`pyproject.toml` bounds: they are recorded, and shown, with every measurement. That is what makes
looking up possible where neither is installed.
"""

import ast
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import rtl
from npu.errors import OutputError
from npu.speedup.rungs import Rung
from rtl.config import NpuConfig
from sim.cache import CACHE_VARIABLE, cache_folder, content_key
from sim.soc.build import hardware_sources
from sim.soc.firmware_build import network_firmware_key
from sim.soc.sources import without_comments

SHIPPED = Path(__file__).parent / "measured"
FORMAT = 1
_KIND = "speedup"


@dataclass(frozen=True)
class Measurement:
    """One network on one rung; every output was compared with the reference kernels.

    Attributes
    ----------
    rung : its name.
    cycles : the whole network, from its inputs in RAM to its outputs in RAM.
    npu_cycles : of these, cycles in which the NPU worked (0 without one).
    code_bytes : instructions and constants of the firmware, all its operators included.
    ram_bytes : tensors, variables and stack.
    image_bytes : the network: weights, parameters, commands, inputs.
    compiler, core_version : releases.
    flags : what the firmware was compiled with.
    """

    rung: str
    cycles: int
    npu_cycles: int
    code_bytes: int
    ram_bytes: int
    image_bytes: int
    compiler: str
    core_version: str
    flags: str


def measurement_key(
    rung: Rung, image: bytes, *, wait_states: int, compiler: str, npu: NpuConfig | None
) -> str:
    """Identifies a measurement by all that it depends on.

    Parameters
    ----------
    rung : see `npu.speedup.rungs`.
    image : the network image. wait_states : of the memories.
    compiler : `zig` or `gcc`, installed or not.
    npu : the accelerator, for a rung with one.
    """
    hardware = [without_comments(text) for text in hardware_sources(rung.core, npu)]
    accelerator = [] if npu is None else [_rtl_key(), json.dumps(npu.to_dict(), sort_keys=True)]
    setting = [str(FORMAT), rung.name, str(wait_states)]
    firmware = network_firmware_key(rung.core, rung.kernels, compiler, with_npu=rung.with_npu)
    return content_key(setting, firmware, accelerator, image, *hardware)


@cache
def _rtl_key() -> str:
    """Of the modules that the Verilog is made by, and what they import; other files of `rtl` are
    no hardware."""
    folder = Path(rtl.__file__).parent
    trees: dict[str, ast.Module] = {}
    waiting = ["verilog"]
    while waiting:
        name = waiting.pop()
        path = folder / f"{name}.py"
        if name not in trees and path.is_file():
            trees[name] = ast.parse(path.read_bytes())
            waiting += [
                node.module.removeprefix("rtl.")
                for node in ast.walk(trees[name])
                if isinstance(node, ast.ImportFrom) and node.module
            ]
    return content_key(*(part for name in sorted(trees) for part in (name, ast.dump(trees[name]))))


def find(key: str) -> Measurement | None:
    """The measurement of a key, from the user's cache or from what ships; None when unknown."""
    path = cache_folder() / _KIND / f"{key}.json"
    try:
        own = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        own = None
    return _measurement(own) or _measurement(_shipped().get(key))


def keep(key: str, measurement: Measurement) -> None:
    """Write a measurement to the user's cache, in place of an older one.

    Raises
    ------
    OutputError : the cache cannot be written.
    """
    folder = cache_folder() / _KIND
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / f"{key}.json", json.dumps(asdict(measurement)))
    except OSError as error:
        raise OutputError(
            f"cannot use cache folder {folder}: {error.strerror};"
            f" set {CACHE_VARIABLE} to a writable folder"
        ) from None


def ship(name: str, entries: Mapping[str, Measurement]) -> Path:
    """Write the shipped set of one network, replacing its former one; returns the file.

    Raises
    ------
    OutputError : it cannot be written.
    """
    path = SHIPPED / f"{name}.json"
    record = {key: asdict(measurement) for key, measurement in entries.items()}
    try:
        SHIPPED.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None
    return path


def _write(path: Path, text: str) -> None:
    """Never leaves half a file, also with several writers."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)


def _shipped() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted(SHIPPED.glob("*.json")):
        found.update(json.loads(path.read_text(encoding="utf-8")))
    return found


def _measurement(record: Any) -> Measurement | None:
    names = {field.name for field in fields(Measurement)}
    if not isinstance(record, dict) or record.keys() != names:
        return None
    return Measurement(**record)
