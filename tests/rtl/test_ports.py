"""The top level's ports in the elaborated netlist: what reaches them without a register."""

from functools import cache
from typing import Any

import pytest
from amaranth.hdl import Fragment, Value
from amaranth.hdl._ir import PortDirection, build_netlist
from amaranth.hdl._nir import FlipFlop
from amaranth.lib.wiring import In

from rtl.npu import Npu
from tests.rtl.bench import small_config

CONFIGS = {f"{lanes}_{bus}": small_config(lanes, bus) for lanes, bus in ((4, 16), (8, 8), (16, 4))}
PREFIXES = ("m_axi_", "s_axil_", "irq")
"""Outputs that other hardware listens to; the trace port is for simulation."""


@cache
def _netlist(name: str) -> Any:
    npu = Npu(CONFIGS[name])
    ports = {}
    for path, member, value in npu.signature.flatten(npu):
        direction = PortDirection.Input if member.flow == In else PortDirection.Output
        ports["__".join(map(str, path))] = (Value.cast(value), direction)
    # they publish no types
    build: Any = build_netlist
    fragment: Any = Fragment
    return build(fragment.get(npu, None), ports=ports)


def _sources(netlist: Any, nets: Any) -> set[tuple[int, int]]:
    """Cell 0's outputs (the inputs of the top level) that reach some nets without a register."""
    found, seen, todo = set(), set(), list(nets)
    while todo:
        net = netlist.resolve_net(todo.pop())
        if net in seen or net.is_const:
            continue
        seen.add(net)
        cell = netlist.cells[net.cell]
        if net.cell == 0:
            found.add((net.cell, net.bit))
        elif not isinstance(cell, FlipFlop):
            todo.extend(source for source, _ in cell.comb_edges_to(net.bit))
    return found


def _outputs(netlist: Any) -> dict[str, Any]:
    return {
        name: nets
        for name, (nets, flow) in netlist.modules[0].ports.items()
        if flow.value == "output"
    }


def _input_names(netlist: Any) -> dict[tuple[int, int], str]:
    return {
        (net.cell, net.bit): name
        for name, (nets, flow) in netlist.modules[0].ports.items()
        if flow.value == "input"
        for net in nets
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_no_path_from_an_input_to_an_output_without_a_register(name: str) -> None:
    """AXI4 demands it of every interface (A3.2.1 of the specification)."""
    netlist = _netlist(name)
    names = _input_names(netlist)
    checked = 0
    for output, nets in _outputs(netlist).items():
        if output.startswith(PREFIXES):
            reaching = {names[source] for source in _sources(netlist, nets)}
            assert not reaching, f"{sorted(reaching)} reach {output} without a register"
            checked += len(nets)
    assert checked > 100


def test_the_search_finds_such_paths() -> None:
    """The trace port's completions show the bus's answers in the same cycle."""
    netlist = _netlist("8_8")
    names = _input_names(netlist)
    found = {names[source] for source in _sources(netlist, _outputs(netlist)["trace_done"])}
    assert "m_axi_bvalid" in found


@pytest.mark.parametrize("name", CONFIGS)
def test_valids_come_from_registers_that_reset(name: str) -> None:
    """VALIDs are low from the first cycle of a reset on: registers of their own, with a reset
    value of zero and a clock domain that has a reset."""
    netlist = _netlist(name)
    outputs = _outputs(netlist)
    for valid in ("m_axi_ar", "m_axi_aw", "m_axi_w", "s_axil_r", "s_axil_b"):
        (net,) = outputs[f"{valid}valid"]
        cell: Any = netlist.cells[netlist.resolve_net(net).cell]
        assert isinstance(cell, FlipFlop), valid
        init: Any = vars(cell)["init"]
        assert init == 0, valid
