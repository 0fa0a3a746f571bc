"""The passes of yosys for each family, flattened for totals and routing, or block by block."""

from typing import Any

from npu.synth.design import Design
from npu.synth.targets import Family

Passes = list[Any]
"""Commands of yosys, and entries that `npu.synth.worker` knows."""

MACRO_THRESHOLD_BITS = 4096
"""On a chip, memories of more bits become macros; smaller ones flip-flops and logic."""

NETLIST = "netlist.json"
HIERARCHY = "hierarchy.json"
STATISTICS = "statistics.json"
LIBERTY = "cells.lib"

# gates of two inputs, and multiplexers
_GATES = "AND,NAND,OR,NOR,XOR,XNOR,MUX"


def read_passes(design: Design, files: list[str]) -> Passes:
    """Read the files that `Design.write` wrote."""
    names = " ".join(files)
    if design.system_verilog:
        read = f"read_slang --top {design.top} {names}"
    else:
        read = f"read_verilog {names}"
    cells = [f"read_verilog -lib {' '.join(design.cells)}"] if design.cells else []
    return [*cells, read, f"hierarchy -check -top {design.top}"]


def flat_passes(design: Design, family: Family, files: list[str]) -> Passes:
    """One netlist without hierarchy: what the parts of the design need together.

    Apart from it, what tells the cells of its blocks: the ports of all modules.
    """
    if family is Family.ECP5:
        # `synth_ecp5` would go on and name cells after nets of other blocks
        return [
            {"apart": [*read_passes(design, files), "proc", f"write_json {HIERARCHY}"]},
            *read_passes(design, files),
            f"synth_ecp5 -top {design.top} -run begin:check",
            f"tee -q -o {STATISTICS} stat -json",
            "blackbox =A:whitebox",
            f"write_json {NETLIST}",
        ]
    return [
        *read_passes(design, files),
        f"synth_xilinx -family xc7 -noiopad -noclkbuf -flatten -top {design.top}",
        f"tee -q -o {STATISTICS} stat -json",
    ]


def block_passes(design: Design, family: Family, files: list[str], *, liberty: bool) -> Passes:
    """Every module on its own, its ports kept; a module that is used twice is done once."""
    statistics = f"tee -q -o {STATISTICS} stat -json"
    read = [*read_passes(design, files), "proc"]
    if family is Family.ECP5:
        return [*read, f"synth_ecp5 -noflatten -top {design.top} -run begin:check", statistics]
    if family is Family.XC7:
        synthesize = f"synth_xilinx -family xc7 -noiopad -noclkbuf -top {design.top}"
        return [*read, synthesize, statistics]
    map_gates = [f"abc -g {_GATES}"]
    if liberty:
        map_gates = [f"dfflibmap -liberty {LIBERTY}", "opt_clean", f"abc -liberty {LIBERTY}"]
    return [
        *read,
        *("opt", "wreduce", "peepopt", "opt_clean", "alumacc", "opt", "memory -nomap", "opt_clean"),
        {"map_memories_up_to": MACRO_THRESHOLD_BITS},
        *("opt -fast", "techmap", "opt -fast"),
        *map_gates,
        *("opt_clean", statistics),
    ]
