"""The Python side of `libnpu_delegate.so`, see `plugin.cpp`: delegates from pairs of strings."""

import json
import logging
from collections.abc import Mapping
from ctypes import Structure, c_char, c_char_p, c_uint64, c_void_p
from pathlib import Path
from typing import cast

from npu.errors import DelegateError, OutputError
from npu.offload.backends import BackendName
from npu.tflite_delegate.delegate import NpuDelegate, delegate
from rtl.config import DEFAULT_PRESET
from rtl.errors import NpuError

OPTIONS = ("config", "backend", "report")
"""Keys that the library takes: those of `delegate`, and a file for its report as JSON, which is
written when the delegate is destroyed."""
DEFAULT_BACKEND: BackendName = "cycle"

log = logging.getLogger(__name__)


class Request(Structure):
    """What the library asks for, and what it gets."""

    _fields_ = [
        ("keys", c_void_p),
        ("values", c_void_p),
        ("count", c_uint64),
        ("delegate", c_void_p),
        ("message", c_char * 1024),
    ]


_made: dict[int, tuple[NpuDelegate, str]] = {}


def create(address: int) -> None:
    """Answer the `Request` at `address`: a delegate, or a message that says why there is none."""
    request = Request.from_address(address)
    try:
        keys, values = (_texts(a, request.count) for a in (request.keys, request.values))
        options = dict(zip(keys, values, strict=True))
        made = delegate_from(options)
    except NpuError as error:
        # a C string of this length, cut off where it does not fit
        request.message = "; ".join(str(error).splitlines()).encode()[:1023]
        return
    except Exception as error:
        log.debug("no delegate", exc_info=True)
        request.message = f"{type(error).__name__}: {error}".encode()[:1023]
        return
    request.delegate = made._get_native_delegate_pointer()
    _made[request.delegate] = made, options.get("report", "")


def delegate_from(options: Mapping[str, str]) -> NpuDelegate:
    """A delegate from options as text.

    Raises `NpuError` for an unknown option, or a value that `delegate` refuses.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise DelegateError(f"unknown option {unknown[0]!r}; allowed are {', '.join(OPTIONS)}")
    backend = cast(BackendName, options.get("backend", DEFAULT_BACKEND))
    return delegate(options.get("config", DEFAULT_PRESET), backend)


def destroy(address: int) -> None:
    """The program needs the delegate no more: write its report, if it asked for one."""
    made, report = _made.pop(address)
    if report:
        try:
            write_report(made, Path(report))
        except OutputError as error:
            log.warning("%s", error)


def write_report(made: NpuDelegate, path: Path) -> None:
    """Write a delegate's report as JSON; raises `OutputError` where that cannot be written."""
    try:
        path.write_text(json.dumps(made.report().to_dict(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror}") from None


def _texts(address: int | None, count: int) -> list[str]:
    if not count or not address:
        return []
    return [(text or b"").decode() for text in (c_char_p * count).from_address(address)]
