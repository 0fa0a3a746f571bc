"""Which block went wrong: the first whose outputs differ while all that it was given is right.

Both designs, ours and the one under test, run the same program and record all signals. A block
whose outputs become others in a cycle up to which its inputs are the same computes something else.
"""

import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from npu.verify.hierarchy import instances, read_modules
from rtl.errors import NpuError
from sim.waves import Waves

Changes = list[tuple[int, int]]
"""Cycles since START in which a signal changes, and its values from then on."""

Signals = dict[tuple[str, ...], Changes]
"""Signals by the path of instances, the signal's name last."""

Record = Callable[[Waves], object]
"""Runs the program and writes waves; may fail as runs do."""

NEVER = 1 << 62

PICOSECONDS = 1000
"""What a cycle lasts in waves."""

_COUNTER = re.compile(r"\$\d+")
"""What Amaranth puts behind names that are not unique."""


@dataclass(frozen=True)
class Location:
    """The block that went wrong first.

    Attributes
    ----------
    path : its instance, such as load.unpacker. module : its name in Verilog.
    cycle : since START. port : an output that differs. expected, got : its values.
    """

    path: str
    module: str
    cycle: int
    port: str
    expected: str
    got: str

    def __str__(self) -> str:
        return (
            f"block {self.path} (module {self.module}): its inputs are right until cycle"
            f" {self.cycle}, its output {self.port} there should be {self.expected}, is {self.got}"
        )


def locate(netlist: str, own: Record, tested: Record, cycles: int) -> Location | None:
    """The block of `netlist`, our Verilog, that differs first; None if the designs have no blocks
    in common, or their ports never differ.

    Parameters
    ----------
    own, tested : record a run of our design, and of the one under test.
    cycles : how many to look at, from START on.
    """
    with tempfile.TemporaryDirectory(prefix="npu-verify-") as folder:
        right, wrong = (
            _signals(record, Path(folder) / f"{name}.vcd", cycles)
            for name, record in (("own", own), ("tested", tested))
        )
    modules = read_modules(netlist)
    found: list[tuple[int, int, Location]] = []
    for path, name in instances(modules):
        module = modules[name]
        inputs = min((_first(right, wrong, path, port)[0] for port in module.inputs), default=NEVER)
        for port in module.outputs:
            cycle, expected, got = _first(right, wrong, path, port)
            # inputs may follow at once, through logic without registers
            if cycle < NEVER and cycle <= inputs:
                names = (_COUNTER.sub("", text) for text in (".".join(path), port))
                place = Location(next(names), name, cycle, next(names), expected, got)
                # of a block and those in it, the innermost; rather one whose inputs stay right
                found.append((cycle, 2 * (cycle == inputs) - len(path), place))
    return min(found, key=lambda entry: entry[:2])[2] if found else None


def _signals(record: Record, path: Path, cycles: int) -> Signals:
    # a run that hangs or ends with an error has left its waves
    with suppress(NpuError):
        record(Waves(path=path, first=0, last=cycles))
    return read_vcd(path) if path.exists() else {}


def _first(
    right: Signals, wrong: Signals, path: tuple[str, ...], port: str
) -> tuple[int, str, str]:
    """The first cycle in which a port differs, with both values; `NEVER` where one lacks it."""
    a, b = (signals.get((*path, port)) for signals in (right, wrong))
    if a is None or b is None or a == b:
        return NEVER, "", ""
    at = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    cycle = min(changes[at][0] for changes in (a, b) if at < len(changes))
    values = [_value(changes, cycle) for changes in (a, b)]
    return cycle, values[0], values[1]


def _value(changes: Changes, cycle: int) -> str:
    """A signal's value in a cycle, as a hexadecimal number."""
    return hex(next((value for begin, value in reversed(changes) if begin <= cycle), 0))


def read_vcd(path: Path) -> Signals:
    """All signals of a file that Verilator wrote, below its module `npu`.

    (The reader of the package `pyvcd` refuses names that Verilator writes.)
    """
    changes: dict[str, Changes] = {}
    names: dict[tuple[str, ...], str] = {}
    scopes: list[str] = []
    now = 0
    with path.open(encoding="ascii", errors="replace") as file:
        for line in file:
            if line[0] == "#":
                now = int(line[1:]) // PICOSECONDS
            elif line[0] in "01":
                changes[line[1:-1]].append((now, int(line[0])))
            elif line[0] == "b":
                value, _, code = line[1:-1].partition(" ")
                changes[code].append((now, int(value, 2)))
            else:
                words = line.split()
                if words[:1] == ["$scope"]:
                    scopes.append(words[2])
                elif words[:1] == ["$upscope"]:
                    scopes.pop()
                elif words[:1] == ["$var"]:
                    changes.setdefault(words[3], [])
                    names[(*scopes, words[4])] = words[3]
    # Verilator puts scopes around the design
    return {
        path[len(path) - path[::-1].index("npu") :]: changes[code]
        for path, code in names.items()
        if "npu" in path
    }
