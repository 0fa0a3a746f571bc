"""Finished points on disk, so that an interrupted sweep goes on where it stopped."""

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from npu.explore.space import Point
from sim.cache import cache_folder, content_key
from sim.errors import BuildError

_PACKAGES = ("rtl", "kernels", "sim", "npu")


class Journal:
    """Results of one network by point, a line of JSON each, appended as they come.

    The file's name is a hash of the network and of the tool's own sources, so that a result is
    never taken from another network or another version. A line that an interruption cut short is
    skipped.

    Parameters
    ----------
    model : the network's file content.
    """

    def __init__(self, model: bytes) -> None:
        self._path = cache_folder() / "explore" / f"{content_key(model, _sources())}.jsonl"
        self._known = dict(self._read())

    def get(self, point: Point) -> dict[str, Any] | None:
        """The result of a point that is finished, or None."""
        return self._known.get(_key(point))

    def add(self, point: Point, result: dict[str, Any]) -> None:
        """Keep a result.

        Raises
        ------
        BuildError : the cache folder cannot be written.
        """
        key = _key(point)
        self._known[key] = result
        line = json.dumps({"point": key, "result": result}) + "\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # one write in append mode: sweeps that run side by side do not tear each other's lines
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)
        except OSError as error:
            raise BuildError(f"cannot write {self._path}: {error.strerror}") from None

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError:
            return
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                yield entry["point"], entry["result"]
            except (ValueError, KeyError, TypeError):
                continue


def _key(point: Point) -> str:
    return json.dumps(point.values, sort_keys=True)


@cache
def _sources() -> str:
    root = Path(__file__).resolve().parents[2]
    files = sorted(path for package in _PACKAGES for path in (root / package).rglob("*.py"))
    return content_key(*(path.read_bytes() for path in files))
