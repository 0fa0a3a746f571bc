"""Two runs side by side: what they were given, what they took, layer by layer."""

import json
from collections.abc import Mapping
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any

from npu.errors import OutputError
from npu.report.record import SCHEMA_VERSION, record_header

KIND = "npu-run"

SETTINGS = ("model", "model_sha256", "inputs", "config", "parameters", "backend", "memory", "clock")
"""What a run depends on, in the order in which a change of it is told."""

TOTALS = ("cycles", "milliseconds", "macs", "macs_per_cycle", "utilization", "bit_exact", "in_tflm")

NUMBERS = ("cycles", "milliseconds", "macs", "utilization")

Record = Mapping[str, Any]


def read_run(path: Path) -> dict[str, Any]:
    """A record that `npu run --json` wrote.

    Raises
    ------
    OutputError : the file cannot be read, is none, or is one of another version.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OutputError(f"cannot read '{path}': {error.strerror or error}") from None
    # a document that is nested too deeply, or no text
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise OutputError(f"'{path}' is not a JSON file: {reason}") from None
    if not isinstance(record, dict) or record.get("schema") != KIND:
        found = record.get("schema") if isinstance(record, dict) else None
        told = f"it is {found!r}" if isinstance(found, str) else "it names no schema"
        raise OutputError(f"'{path}' was not written by `npu run --json`: {told}")
    version = record.get("schema_version")
    if version != SCHEMA_VERSION:
        raise OutputError(
            f"'{path}' has schema version {version!r}, this tool reads {SCHEMA_VERSION}"
        )
    _check_layers(record, path)
    return record


def _check_layers(record: Record, path: Path) -> None:
    """Refuse a record that somebody has edited so that nothing can be read from it."""
    layers = record.get("layers")
    whole = isinstance(layers, list) and all(
        isinstance(layer, dict)
        and {"index", "op", "placed", "macs", "cycles", "bound"} <= layer.keys()
        for layer in layers
    )
    missing = [key for key in (*SETTINGS, *TOTALS, "tool_version") if key not in record]
    if missing or not whole:
        what = f"no {missing[0]!r}" if missing else "no list of layers with all that they have"
        raise OutputError(f"'{path}' is damaged: {what} is in it")
    for name, value in [
        *((key, record[key]) for key in NUMBERS),
        *(
            (f"layers.{key}", layer[key])
            for layer in record["layers"]
            for key in ("macs", "cycles")
        ),
    ]:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise OutputError(f"'{path}' is damaged: {name!r} is {value!r}, no number")


def compare_runs(a: Record, b: Record) -> dict[str, Any]:
    """The record that `npu compare --json` writes.

    `names` are what to call the runs. `changed` holds, by name, what of the setting differs, as a
    pair; a parameter or a value of the memory by its own name (`parameters.pixels`). `totals` are
    pairs too. Of `layers`, each has the index in A and in B (None where the other network has no
    such operator), and pairs. `ratio` is B's cycles over A's, None where one of them has none.
    """
    changed: dict[str, list[Any]] = {}
    for key in (*SETTINGS, "tool_version"):
        changed.update(_differences(key, a[key], b[key]))
    return {
        **record_header("compare"),
        "names": [
            f"{Path(run['model']).stem}, {run['config']}, {run['backend']}" for run in (a, b)
        ],
        "changed": changed,
        "totals": {key: [a[key], b[key]] for key in TOTALS},
        "ratio": _ratio(a["cycles"], b["cycles"]),
        "layers": [_layer(one, other) for one, other in _pairs(a["layers"], b["layers"])],
    }


def _differences(name: str, a: Any, b: Any) -> dict[str, list[Any]]:
    if isinstance(a, dict) and isinstance(b, dict):
        found: dict[str, list[Any]] = {}
        for key in dict.fromkeys((*a, *b)):
            found.update(_differences(f"{name}.{key}", a.get(key), b.get(key)))
        return found
    return {} if a == b else {name: [a, b]}


def _pairs(a: list[Record], b: list[Record]) -> list[tuple[Record | None, Record | None]]:
    """Operators that stand for each other: of the same kind, in the same order."""
    kinds = [[layer["op"] for layer in layers] for layers in (a, b)]
    pairs: list[tuple[Record | None, Record | None]] = []
    matcher = SequenceMatcher(None, kinds[0], kinds[1], autojunk=False)
    for tag, first, last, begin, end in matcher.get_opcodes():
        if tag == "equal":
            pairs += zip_longest(a[first:last], b[begin:end])
        else:
            pairs += [(layer, None) for layer in a[first:last]]
            pairs += [(None, layer) for layer in b[begin:end]]
    return pairs


def _layer(a: Record | None, b: Record | None) -> dict[str, Any]:
    def pair(key: str) -> list[Any]:
        return [None if layer is None else layer[key] for layer in (a, b)]

    known = a or b
    assert known is not None
    return {
        "op": known["op"],
        "index": pair("index"),
        "placed": pair("placed"),
        "macs": pair("macs"),
        "cycles": pair("cycles"),
        "ratio": _ratio(*pair("cycles")),
        "bound": [bound and bound["by"] for bound in pair("bound")],
    }


def _ratio(a: int | None, b: int | None) -> float | None:
    return None if not a or b is None else b / a
