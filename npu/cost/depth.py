"""How long the longest path of a netlist is before anybody has placed it: cells and typical wires.

Delays of cells are rounded from what nextpnr reports for an ECP5 of speed grade 6; a wire counts as
one of medium length wherever it leaves a slice. It tells long paths from short ones and is no
clock: `npu.cost.model` scales it by what was routed.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

WIRE_NS = 0.9
_LAUNCH_NS = {"TRELLIS_FF": 0.5, "DP16KD": 5.5, "PDPW16KD": 5.5, "MULT18X18D": 1.0}
_CELL_NS = {"LUT4": 0.25, "PFUMX": 0.2, "L6MUX21": 0.2, "TRELLIS_DPR16X4": 0.25}
_CARRY_NS, _ONTO_CARRY_NS = 0.07, 0.45
# inputs that lie in the slice of the cell that drives them
_INSIDE = {("CCU2C", "CIN"), ("PFUMX", "ALUT"), ("PFUMX", "BLUT")}
_INSIDE |= {("L6MUX21", "D0"), ("L6MUX21", "D1")}
# inputs of memories in LUTs that are registered
_REGISTERED = ("DI", "WAD", "WRE", "WCK")


def longest_path_ns(module: Mapping[str, Any]) -> float:
    """Nanoseconds from a register or an input of the module to a register, the longest.

    Parameters
    ----------
    module : of yosys's JSON, mapped to ECP5.
    """
    arrivals: dict[int, float] = {}
    sinks: dict[int, list[int]] = defaultdict(list)
    waiting: list[int] = []
    inputs: list[list[tuple[int, str]]] = []
    outputs: list[list[int]] = []
    types: list[str] = []
    ends: list[tuple[int, str, str]] = []
    for cell in module["cells"].values():
        kind, directions = cell["type"], cell["port_directions"]
        sources, driven = [], []
        for port, bits in cell["connections"].items():
            nets = [bit for bit in bits if isinstance(bit, int)]
            if directions[port] == "output":
                driven += nets
            elif kind in _LAUNCH_NS or (kind == "TRELLIS_DPR16X4" and port.startswith(_REGISTERED)):
                ends += [(net, kind, port) for net in nets if port not in ("CLK", "WCK")]
            else:
                sources += [(net, port) for net in nets]
        if kind in _LAUNCH_NS:
            arrivals.update(dict.fromkeys(driven, _LAUNCH_NS[kind]))
            continue
        place = len(types)
        types.append(kind)
        inputs.append(sources)
        outputs.append(driven)
        waiting.append(0)
        for net, _ in sources:
            sinks[net].append(place)
    driven_late = {net for driven in outputs for net in driven}
    for place, sources in enumerate(inputs):
        waiting[place] = sum(net in driven_late for net, _ in sources)
    ready = [place for place, count in enumerate(waiting) if not count]
    while ready:
        place = ready.pop()
        kind = types[place]
        latest = max(
            (arrivals.get(net, 0.0) + _wire(kind, port) + _cell(kind, port))
            for net, port in inputs[place] or [(-1, "")]
        )
        for net in outputs[place]:
            arrivals[net] = latest
            for sink in sinks[net]:
                waiting[sink] -= 1
                if not waiting[sink]:
                    ready.append(sink)
    return max((arrivals.get(net, 0.0) + WIRE_NS for net, _, _ in ends), default=0.0)


def _wire(kind: str, port: str) -> float:
    return 0.0 if (kind, port) in _INSIDE else WIRE_NS


def _cell(kind: str, port: str) -> float:
    if kind == "CCU2C":
        return _CARRY_NS if port == "CIN" else _ONTO_CARRY_NS
    return _CELL_NS.get(kind, 0.25)
