"""What cells are counted as: the columns of every table."""

import re
from collections.abc import Mapping

from npu.synth.targets import Family

Cells = Mapping[str, int]
"""How many of each cell type, by the synthesizer's names."""

Figures = dict[str, float]
"""Resources by name, in the order of the columns."""

CARRY_LUTS = 2
"""4-input LUTs that a CCU2C takes the place of."""

RAM_LUTS = 4
"""4-input LUTs that a TRELLIS_DPR16X4 takes the place of."""

MACRO_BITS = "memory bits"
"""Of memories that a chip would take as macros, see `npu.synth.passes.MACRO_THRESHOLD_BITS`."""

NAND2 = "NAND2"
"""Area in that of the smallest two-input NAND of the liberty file, macros left out."""

# LUTs that a cell of Xilinx's distributed memory takes
_XC7_LUT_RAM = {
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM32M": 4,
    "RAM64M": 4,
    "SRL16E": 1,
    "SRLC32E": 1,
}
_XC7_LUT = re.compile(r"LUT[1-6]|INV")
_XC7_FF = re.compile(r"FD[RSCP]E(_1)?")
_GENERIC_FF = re.compile(r"\$_(ALDFFE?|S?DFF[A-Z]*|DFFSRE?|DLATCH[A-Z]*)_[PN01]*_")
# what follows the name of a flip-flop says its polarities
_GENERIC_GATE = re.compile(r"\$_[A-Z0-9]+_")
# yosys's own annotations
_NO_CELLS = ("$scopeinfo", "$mem_v2")


def figures(
    family: Family,
    cells: Cells,
    *,
    macro_bits: int = 0,
    areas: Mapping[str, float] | None = None,
    nand2_area: float = 1.0,
) -> Figures:
    """Resources of a design or of a block.

    Parameters
    ----------
    family : decides which cells there are.
    cells : cells by type. macro_bits : bits of memories left as macros.
    areas : area of each cell of a liberty file that `generic` was mapped to; None for gates.
    nand2_area : of its smallest two-input NAND, in the same unit.
    """
    if family is Family.ECP5:
        return _ecp5(cells)
    if family is Family.XC7:
        return _xc7(cells)
    if areas is None:
        return {
            "gates": _count(cells, _GENERIC_GATE),
            "FF": _count(cells, _GENERIC_FF),
            MACRO_BITS: macro_bits,
        }
    area = sum(areas.get(name, 0.0) * count for name, count in cells.items())
    known = sum(count for name, count in cells.items() if name in areas)
    return {"cells": known, NAND2: round(area / nand2_area), MACRO_BITS: macro_bits}


def unmapped(cells: Cells, areas: Mapping[str, float], modules: set[str]) -> list[str]:
    """Cell types that a liberty file has no area for, macros and `modules` left out."""
    return sorted(set(cells) - set(areas) - modules - set(_NO_CELLS))


def size_name(family: Family, *, mapped: bool) -> str:
    """The figure that blocks are compared by; `mapped` to a liberty file or not."""
    if family is Family.GENERIC:
        return NAND2 if mapped else "gates"
    return "LUTeq" if family is Family.ECP5 else "LUT"


def _ecp5(cells: Cells) -> Figures:
    luts, carries = cells.get("LUT4", 0), cells.get("CCU2C", 0)
    rams = cells.get("TRELLIS_DPR16X4", 0)
    return {
        "LUTeq": luts + CARRY_LUTS * carries + RAM_LUTS * rams,
        "LUT": luts,
        "carry": carries,
        "LUT RAM": rams,
        "FF": cells.get("TRELLIS_FF", 0),
        "DSP": cells.get("MULT18X18D", 0),
        "block RAM": cells.get("DP16KD", 0) + cells.get("PDPW16KD", 0),
    }


def _xc7(cells: Cells) -> Figures:
    lut_ram = sum(cells.get(name, 0) * luts for name, luts in _XC7_LUT_RAM.items())
    return {
        "LUT": _count(cells, _XC7_LUT) + lut_ram,
        "LUT RAM": lut_ram,
        "carry": cells.get("CARRY4", 0),
        "FF": _count(cells, _XC7_FF),
        "DSP": cells.get("DSP48E1", 0),
        # a RAMB18E1 is half of a tile
        "block RAM": cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0) / 2,
    }


def _count(cells: Cells, pattern: re.Pattern[str]) -> int:
    return sum(count for name, count in cells.items() if pattern.fullmatch(name))
