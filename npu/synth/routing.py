"""Place and route with nextpnr, kept by the content of all that it depends on."""

import gzip
import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from npu.synth import passes
from npu.synth.design import Design
from npu.synth.errors import DoesNotFitError, RoutingError
from npu.synth.harness import CLOCK, with_registers
from npu.synth.labels import label_cells
from npu.synth.paths import CriticalPath, critical_path
from npu.synth.process import ToolFailedError, Tools
from npu.synth.synthesis import NETLIST, Listener
from npu.synth.targets import SPEED_GRADE, Part
from npu.synth.tools import ROUTER, tool_version
from sim.cache import cached, content_key

TARGET_MHZ = 100.0
"""What the placer strives for: more than any preset reaches, so that it does not rest early."""

_FORMAT = 2
_RECORD = "record.json"
_REPORT = "report.json"
_INFO = re.compile(r"Info: (.*)")
_TOO_LARGE = re.compile(r"no BELs remaining to implement cell type '?(\w+)|[Uu]nable to place")


@dataclass(frozen=True)
class Routed:
    """A design on a part, from one seed.

    Attributes
    ----------
    seed : of the placer. fmax_mhz : the clock that its longest path allows.
    path : that path, None when nothing is clocked. seconds : what it took, when it ran.
    """

    seed: int
    fmax_mhz: float
    path: CriticalPath | None
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "seed": self.seed,
            "fmax_mhz": self.fmax_mhz,
            "critical_path": None if self.path is None else self.path.to_dict(),
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Routed":
        """The result of a record that `to_dict` made."""
        path = record["critical_path"]
        return cls(
            record["seed"],
            record["fmax_mhz"],
            None if path is None else CriticalPath.from_dict(path),
            record["seconds"],
        )


def median_mhz(results: Sequence[Routed]) -> float:
    """The clock that stands for all seeds."""
    return statistics.median(result.fmax_mhz for result in results)


def route(
    design: Design,
    synthesized: Path,
    part: Part,
    seeds: Sequence[int],
    tools: Tools,
    listener: Listener,
) -> list[Routed]:
    """Place and route a design once for each seed, or take that from the cache.

    Parameters
    ----------
    design : names it. synthesized : `Synthesis.folder`. part : the device.
    tools : runs nextpnr, as many at a time as it is allowed to. listener : is told.

    Raises
    ------
    SynthesisError : nextpnr is not installed.
    DoesNotFitError : it found no room for something.
    RoutingError : it failed for another reason, which the message has; or nothing is clocked.
    """
    version = tool_version(ROUTER)
    netlist = NetlistLabels(synthesized)

    def task(seed: int) -> Callable[[], Routed]:
        return lambda: _route(design, netlist, part, seed, version, tools, listener)

    return tools.each([task(seed) for seed in seeds])


class NetlistLabels:
    """A synthesized netlist and the blocks of its cells, which are found when first asked for.

    Parameters
    ----------
    folder : `Synthesis.folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: tuple[dict[str, str], dict[str, str]] | None = None
        self._lock = Lock()

    def get(self) -> tuple[dict[str, str], dict[str, str]]:
        """The block of each cell, and the name of the net that it drives, where that has one."""
        with self._lock:
            if self._found is None:
                self._found = self._read()
            return self._found

    def _read(self) -> tuple[dict[str, str], dict[str, str]]:
        document = self._document()
        netlist = document["modules"][_largest(document)]
        text = (self.folder / passes.HIERARCHY).read_text(encoding="utf-8")
        return label_cells(netlist, json.loads(text)["modules"]), driven_nets(netlist)

    def write_routable(self, path: Path, name: str) -> None:
        """Write the netlist with registers at its ports, as JSON.

        Raises
        ------
        RoutingError : nothing in `name`, the design, is clocked.
        """
        document = self._document()
        top = _largest(document)
        if CLOCK not in document["modules"][top]["ports"]:
            raise RoutingError(f"{name}: nothing in it is clocked, so it has no Fmax")
        document["modules"][top] = with_registers(document["modules"][top])
        path.write_text(json.dumps(document), encoding="utf-8")

    def _document(self) -> dict[str, Any]:
        with gzip.open(self.folder / NETLIST, "rt", encoding="utf-8") as file:
            document: dict[str, Any] = json.load(file)
        return document


def _largest(document: Mapping[str, Any]) -> str:
    """The netlist's name: the cells of the part are modules too, without any cells."""
    modules: Mapping[str, Any] = document["modules"]
    return max(modules, key=lambda name: len(modules[name]["cells"]))


def _route(
    design: Design,
    netlist: NetlistLabels,
    part: Part,
    seed: int,
    version: str,
    tools: Tools,
    listener: Listener,
) -> Routed:
    options = [
        *(part.option, "--package", part.package, "--speed", str(SPEED_GRADE)),
        *("--lpf-allow-unconstrained", "--json", passes.NETLIST, "--report", _REPORT),
        # the default one of nextpnr does not end for tens of thousands of cells
        *("--router", "router2"),
        *("--freq", str(TARGET_MHZ), "--timing-allow-fail", "--seed", str(seed)),
    ]
    # the synthesis's folder is named by the content of all that it depends on
    key = content_key(str(_FORMAT), netlist.folder.name, options, version)
    step = f"{design.name}, seed {seed}"

    def build(target: Path) -> None:
        listener.log(f"{step}: placing and routing")
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(dir=target.parent) as name:
            folder = Path(name)
            netlist.write_routable(folder / passes.NETLIST, design.name)
            job = {"tool": "nextpnr", "arguments": options}
            try:
                tools.run(job, folder, lambda line: _tell(listener, step, line))
            except ToolFailedError as error:
                raise routing_failure(step, error) from None
            report = json.loads((folder / _REPORT).read_text(encoding="utf-8"))
        path = critical_path(report, *netlist.get())
        fmax = min(clock["achieved"] for clock in report["fmax"].values())
        result = Routed(seed, round(fmax, 2), path, round(time.monotonic() - begin, 1))
        (target / _RECORD).write_text(json.dumps(result.to_dict()), encoding="utf-8")
        listener.log(f"{step}: {result.fmax_mhz:.1f} MHz")

    text = (cached("route", key, build) / _RECORD).read_text(encoding="utf-8")
    return Routed.from_dict(json.loads(text))


def driven_nets(netlist: Mapping[str, Any]) -> dict[str, str]:
    """Of each cell of a netlist, the shortest name of what it drives, where that has one."""
    names: dict[int, str] = {}
    for name, net in netlist["netnames"].items():
        if net["hide_name"]:
            continue
        single = len(net["bits"]) == 1
        for index, bit in enumerate(net["bits"]):
            full = name if single else f"{name}[{index}]"
            if isinstance(bit, int) and (bit not in names or len(full) < len(names[bit])):
                names[bit] = full
    found = {}
    for cell, body in netlist["cells"].items():
        for port, bits in body["connections"].items():
            if body.get("port_directions", {}).get(port) != "output":
                continue
            named = [names[bit] for bit in bits if bit in names]
            if named:
                found[cell] = named[0]
    return found


def routing_failure(step: str, error: ToolFailedError) -> RoutingError | DoesNotFitError:
    """What to say of a router that gave up: whether the part is too small, or anything else."""
    reason = error.reason
    if _TOO_LARGE.search(reason):
        return DoesNotFitError(f"{step}: no room on the part: {reason}")
    return RoutingError(f"{step}: the router failed: {reason}")


def _tell(listener: Listener, step: str, line: str) -> None:
    found = _INFO.fullmatch(line)
    if found is not None and found[1].strip():
        listener.phase(step, found[1].strip())
