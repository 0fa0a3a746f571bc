"""The costs that ship with the project: all presets, and the CPUs of the bench SoC.

`shipped/costs.json` says which RTL its figures are of. `npu synth --all-presets --pnr --update`
makes it anew, and keeps what is of the same Verilog and the same tools.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from npu.errors import OutputError
from npu.synth.design import rtl_digest
from npu.synth.result import Cost

PATH = Path(__file__).parent / "shipped" / "costs.json"
UPDATE_COMMAND = "npu synth --all-presets --pnr --update"

Costs = dict[str, dict[str, Cost]]
"""By name of preset or core, and by name of target; `NAND2_KEY` for cells of a liberty file."""

NAND2_KEY = "nand2"

# section, name, target
_LINE_DEPTH = 3


@dataclass(frozen=True)
class Shipped:
    """The table.

    Attributes
    ----------
    rtl : `rtl_digest` of what the presets' figures are of.
    pending : why it may be older than the RTL for now; empty when it must not be.
    presets, cores : the figures.
    """

    rtl: str
    pending: str = ""
    presets: Costs = field(default_factory=dict)
    cores: Costs = field(default_factory=dict)

    @property
    def stale(self) -> bool:
        """Whether the RTL has changed since."""
        return self.rtl != rtl_digest()


def load_shipped(path: Path | None = None) -> Shipped:
    """The table at `path`, by default what ships; an empty one where there is none."""
    return _load(path or PATH)


@cache
def _load(path: Path) -> Shipped:
    if not path.is_file():
        return Shipped(rtl="")
    document = json.loads(path.read_text(encoding="utf-8"))
    return Shipped(
        rtl=document["rtl"],
        pending=document.get("pending", ""),
        presets=_costs(document["presets"]),
        cores=_costs(document["cores"]),
    )


def save_shipped(table: Shipped, path: Path | None = None) -> Path:
    """Write the table to `path`, by default in place of what ships; returns where it is.

    Raises
    ------
    OutputError : it cannot be written.
    """
    path = path or PATH
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(_dump(table_record(table)), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None
    _load.cache_clear()
    return path


def table_record(table: Shipped) -> dict[str, object]:
    """The table as JSON."""
    return {
        "command": UPDATE_COMMAND,
        "rtl": table.rtl,
        **({"pending": table.pending} if table.pending else {}),
        "presets": _records(table.presets),
        "cores": _records(table.cores),
    }


def _costs(document: Mapping[str, Mapping[str, Mapping[str, object]]]) -> Costs:
    return {
        name: {target: Cost.from_dict(record) for target, record in costs.items()}
        for name, costs in document.items()
    }


def _records(costs: Costs) -> dict[str, dict[str, object]]:
    return {
        name: {target: dict(cost.to_dict()) for target, cost in by_target.items()}
        for name, by_target in costs.items()
    }


def _dump(document: Mapping[str, object]) -> str:
    """JSON with a line for each cost, so that a change of one is a change of one line."""

    def dump(value: object, depth: int) -> str:
        if not isinstance(value, dict) or depth == _LINE_DEPTH or not value:
            return json.dumps(value)
        indent = " " * (depth + 1)
        items = (f"{indent}{json.dumps(key)}: {dump(v, depth + 1)}" for key, v in value.items())
        return "{\n" + ",\n".join(items) + f"\n{' ' * depth}}}"

    return dump(document, 0) + "\n"
