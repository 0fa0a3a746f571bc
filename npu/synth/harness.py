"""Registers around a netlist, so that a part with few pins holds it and its clock is a clock."""

from collections.abc import Mapping
from typing import Any

CLOCK = "clk"
"""Name of the port that clocks a design."""

SCAN = "harness_scan"
"""The only other port: what the inputs' registers are filled through."""

PREFIX = "harness$"
"""Of the registers' names; they belong to no block."""

_LOW, _HIGH = "0", "1"

# as `synth_ecp5` writes it; texts of zeros and ones alone would be numbers to the router
_PARAMETERS = {
    "GSR": "DISABLED",
    "CEMUX": "1 ",
    "CLKMUX": "CLK",
    "LSRMUX": "LSR",
    "REGSET": "RESET",
    "SRMODE": "LSR_OVER_CE",
}


def with_registers(module: Mapping[str, Any]) -> dict[str, Any]:
    """The netlist of an ECP5 design with a register at each bit of its ports but the clock.

    Without pins of its own for it, a design's clock is no global net, and is routed like any other
    signal: that is neither what a user of the design gets, nor does it end for large ones. With all
    ports on pins no part has enough of them. So inputs come out of one long shift register, and
    outputs end in registers; paths to and from them count like those inside.

    Parameters
    ----------
    module : as `write_json` of yosys writes it, with a port `CLOCK` of one bit. It is not changed.
    """
    ports = module["ports"]
    (clock,) = ports[CLOCK]["bits"]
    cells = dict(module["cells"])
    free = 1 + max(
        bit
        for connected in (
            *(port["bits"] for port in ports.values()),
            *(bits for cell in cells.values() for bits in cell["connections"].values()),
        )
        for bit in connected
        if isinstance(bit, int)
    )
    scan = last = free
    for name, port in ports.items():
        for index, bit in enumerate(port["bits"]):
            if name == CLOCK or not isinstance(bit, int):
                continue
            if port["direction"] == "input":
                source, target, last = last, bit, bit
            else:
                free += 1
                source, target = bit, free
            cells[f"{PREFIX}{name}${index}"] = _register(clock, source, target)
    scan_net = {"hide_name": 0, "bits": [scan], "attributes": {}}
    return {
        **module,
        "cells": cells,
        "ports": {
            CLOCK: ports[CLOCK],
            SCAN: {"direction": "input", "bits": [scan]},
        },
        "netnames": {**module["netnames"], SCAN: scan_net},
    }


def _register(clock: int, source: int, target: int) -> dict[str, Any]:
    return {
        "hide_name": 0,
        "type": "TRELLIS_FF",
        "parameters": dict(_PARAMETERS),
        "attributes": {},
        "port_directions": {
            "CLK": "input",
            "CE": "input",
            "LSR": "input",
            "DI": "input",
            "Q": "output",
        },
        "connections": {
            "CLK": [clock],
            "CE": [_HIGH],
            "LSR": [_LOW],
            "DI": [source],
            "Q": [target],
        },
    }
