"""Which block of the hierarchy each cell of a flattened netlist comes from.

Registers, memories and everything whose output has kept a name are known: of the names of a net,
an output or an inner signal lies in its block, an input comes from outside. Logic between them has
lost its names in optimization; a cell is taken for part of the block that most of its neighbours
belong to, sources and sinks alike, nearest first. That is a reading of the netlist, not a fact.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

TOP = ""
"""The block of what lies in no other."""

# a net that goes to so many cells says nothing about where it belongs
_MANY = 64


def label_cells(netlist: Mapping[str, Any], hierarchy: Mapping[str, Any]) -> dict[str, str]:
    """The block of every cell, as a path of instance names (`compute.grid.row0`).

    Parameters
    ----------
    netlist : the top module of the flattened design, from yosys's JSON.
    hierarchy : all modules before flattening, from the same.
    """
    inputs = _inputs_of_scopes(netlist, hierarchy)
    nets = _blocks_of_nets(netlist, inputs)
    drivers, sinks = _connections(netlist)
    labels: dict[str, str] = {}
    for name in netlist["cells"]:
        scope = _scope(name, inputs)
        known = [nets[bit] for bit in drivers.outputs[name] if bit in nets]
        if scope != TOP:
            labels[name] = scope
        elif known:
            labels[name] = max(known, key=lambda path: (_depth(path), path))
    waiting = [name for name in netlist["cells"] if name not in labels]
    while waiting:
        found = {}
        for name in waiting:
            votes = Counter(
                labels[other] for other in _neighbours(name, drivers, sinks) if other in labels
            )
            if votes:
                found[name] = min(votes, key=lambda path: (-votes[path], path))
        if not found:
            break
        labels.update(found)
        waiting = [name for name in waiting if name not in found]
    return {name: labels.get(name, TOP) for name in netlist["cells"]}


class _Drivers:
    """Who drives each bit, and which bits each cell drives and reads."""

    def __init__(self) -> None:
        self.of_bit: dict[int, str] = {}
        self.outputs: dict[str, list[int]] = {}
        self.inputs: dict[str, list[int]] = {}


def _connections(netlist: Mapping[str, Any]) -> tuple[_Drivers, dict[int, list[str]]]:
    drivers = _Drivers()
    sinks: dict[int, list[str]] = defaultdict(list)
    for name, cell in netlist["cells"].items():
        drivers.outputs[name], drivers.inputs[name] = [], []
        directions = cell.get("port_directions", {})
        for port, bits in cell["connections"].items():
            for bit in bits:
                # constants are strings
                if not isinstance(bit, int):
                    continue
                if directions.get(port) == "output":
                    drivers.of_bit[bit] = name
                    drivers.outputs[name].append(bit)
                else:
                    drivers.inputs[name].append(bit)
                    sinks[bit].append(name)
    return drivers, sinks


def _neighbours(name: str, drivers: _Drivers, sinks: Mapping[int, list[str]]) -> Iterable[str]:
    for bit in drivers.inputs[name]:
        if bit in drivers.of_bit and len(sinks[bit]) <= _MANY:
            yield drivers.of_bit[bit]
    for bit in drivers.outputs[name]:
        readers = sinks.get(bit, ())
        if len(readers) <= _MANY:
            yield from readers


def _inputs_of_scopes(
    netlist: Mapping[str, Any], hierarchy: Mapping[str, Any]
) -> dict[str, set[str]]:
    """Of each instance path, the input ports of its module."""
    found = {}
    for name, cell in netlist["cells"].items():
        if cell["type"] != "$scopeinfo" or cell["parameters"].get("TYPE") != "module":
            continue
        module = hierarchy.get(cell["attributes"].get("module", ""), {"ports": {}})
        ports = module["ports"].items()
        found[name] = {port for port, body in ports if body["direction"] == "input"}
    return found


def _blocks_of_nets(netlist: Mapping[str, Any], inputs: Mapping[str, set[str]]) -> dict[int, str]:
    """The innermost block that a driver of each named bit can be in."""
    found: dict[int, str] = {}
    for name, net in netlist["netnames"].items():
        if net["hide_name"]:
            continue
        scope = _scope(name, inputs)
        local = name[len(scope) + 1 :] if scope else name
        if local in inputs.get(scope, ()):
            scope = scope.rpartition(".")[0]
        for bit in net["bits"]:
            if isinstance(bit, int) and _depth(scope) >= _depth(found.get(bit, TOP)):
                found[bit] = scope
    return found


def _scope(name: str, scopes: Mapping[str, Any]) -> str:
    """The longest instance path that `name` begins with."""
    plain = name.removeprefix("$flatten").replace("\\", "")
    path = plain
    while path:
        path = path.rpartition(".")[0]
        if path in scopes:
            return path
    return TOP


def _depth(path: str) -> int:
    return path.count(".") + 1 if path else 0
