"""Counting, liberty files, blocks, labels and paths, on small inputs made by hand."""

from pathlib import Path
from typing import Any

import pytest

from npu.synth.blocks import Block, block_tree, module_cells, routable_units
from npu.synth.errors import DoesNotFitError, RoutingError, SynthesisError
from npu.synth.flow import Request
from npu.synth.harness import CLOCK, PREFIX, SCAN, with_registers
from npu.synth.labels import label_cells
from npu.synth.liberty import read_liberty
from npu.synth.paths import Segment, critical_path
from npu.synth.process import ToolFailedError
from npu.synth.resources import MACRO_BITS, NAND2, figures, unmapped
from npu.synth.routing import routing_failure
from npu.synth.targets import TARGETS, Family, find_target
from tests.npu.synth.tiny import LIBERTY


def test_figures_of_each_family() -> None:
    ecp5 = {"LUT4": 100, "CCU2C": 10, "TRELLIS_DPR16X4": 3, "TRELLIS_FF": 7, "PFUMX": 9}
    counted = figures(Family.ECP5, {**ecp5, "MULT18X18D": 2, "DP16KD": 5})
    assert list(counted.values()) == [132, 100, 10, 3, 7, 2, 5]
    xc7 = {"LUT6": 5, "LUT2": 4, "INV": 1, "RAM32M": 2, "SRL16E": 1, "FDRE": 8, "FDSE": 1}
    counted = figures(Family.XC7, {**xc7, "RAMB18E1": 3, "RAMB36E1": 1, "DSP48E1": 6, "MUXF7": 9})
    assert counted == {
        "LUT": 19,
        "LUT RAM": 9,
        "carry": 0,
        "FF": 9,
        "DSP": 6,
        "block RAM": 2.5,
    }
    gates = {"$_NAND_": 3, "$_MUX_": 2, "$_DFF_P_": 4, "$_SDFFE_PP0P_": 5, "$mem_v2": 1}
    counted = figures(Family.GENERIC, gates, macro_bits=77)
    assert counted == {"gates": 5, "FF": 9, MACRO_BITS: 77}
    areas = {"NAND2": 2.0, "DFF": 9.0}
    counted = figures(
        Family.GENERIC, {"NAND2": 3, "DFF": 2, "part": 1}, areas=areas, nand2_area=2.0
    )
    assert counted == {"cells": 5, NAND2: 12, MACRO_BITS: 0}
    assert unmapped({"NAND2": 1, "$mem_v2": 1, "part": 1, "$_TBUF_": 1}, areas, {"part"}) == [
        "$_TBUF_"
    ]


def test_a_part_says_what_overflows() -> None:
    part = TARGETS["ecp5-45k"].part
    assert part is not None
    assert part.overflow({"LUTeq": 43_848, "DSP": 72}) == []
    assert part.overflow({"LUTeq": 50_000, "DSP": 73, "carry": 1e9}) == [
        "LUTeq 50,000 of 43,848",
        "DSP 73 of 72",
    ]


def test_targets_and_requests_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="unknown target 'ice40'; allowed: ecp5-25k, ecp5-45k"):
        find_target("ice40")
    for name in ("xc7", "generic"):
        message = f"--pnr: no packaged router for target {name}; .* ecp5-25k, ecp5-45k, ecp5-85k$"
        with pytest.raises(SynthesisError, match=message):
            Request(TARGETS[name], seeds=(1,))
    with pytest.raises(SynthesisError, match="--by-block needs --pnr"):
        Request(TARGETS["ecp5-25k"], by_block=True)
    path = tmp_path / "demo.lib"
    path.write_text(LIBERTY)
    with pytest.raises(SynthesisError, match="--liberty needs --target generic"):
        Request(TARGETS["xc7"], liberty=read_liberty(path))


def test_liberty(tmp_path: Path) -> None:
    path = tmp_path / "demo.lib"
    path.write_text(LIBERTY)
    liberty = read_liberty(path)
    assert liberty.nand2_area == 2
    assert liberty.areas == {"INV": 1, "NAND2": 2, "NOR2": 2, "BUF": 2, "BIG_NAND2": 4, "DFF": 8}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", "it is not text"),
        (b"module x; endmodule", r"it has no 'library \(\.\.\.\)'"),
        (LIBERTY.replace("NAND2", "AOI").encode(), "has no two-input NAND"),
        (LIBERTY.replace("ff (IQ", "latch (IQ").encode(), "has no flip-flop"),
    ],
)
def test_liberty_files_that_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.lib"
    path.write_bytes(content)
    with pytest.raises(SynthesisError, match=rf"bad\.lib'.*{message}"):
        read_liberty(path)
    with pytest.raises(SynthesisError, match=r"cannot read --liberty '.*none': No such file"):
        read_liberty(tmp_path / "none")
    with pytest.raises(SynthesisError, match=r"cannot read --liberty '.*': Is a directory"):
        read_liberty(tmp_path)


def block_tree_of_three() -> Block:
    """top has two of `row`, which has three of `pe`, and one of `pe` itself."""
    cells = {
        "top": {"row": 2, "pe": 1, "LUT4": 5},
        "row": {"pe": 3, "LUT4": 2},
        "pe": {"LUT4": 10},
    }
    own = {"top": {"LUT": 5.0}, "row": {"LUT": 2.0}, "pe": {"LUT": 10.0}}
    return block_tree("top", cells, own, "LUT")


def test_the_hierarchy_adds_up() -> None:
    tree = block_tree_of_three()
    assert tree.total == {"LUT": 5 + 2 * (2 + 3 * 10) + 10}
    found = [(depth, block.module, block.count, block.own["LUT"]) for depth, block in tree.walk()]
    assert found == [
        (0, "top", 1, 5.0),
        (1, "row", 2, 4.0),
        (2, "pe", 6, 60.0),
        (1, "pe", 1, 10.0),
    ]
    assert Block.from_dict(tree.to_dict()) == tree
    assert routable_units(tree, "LUT", 1000) == ["top"]
    assert routable_units(tree, "LUT", 32) == ["row", "pe"]
    assert routable_units(tree, "LUT", 1) == ["pe"]
    statistics = {"modules": {"\\top": {"num_cells_by_type": {"\\pe": 2, "LUT4": 1}}}}
    assert module_cells(statistics) == {"top": {"pe": 2, "LUT4": 1}}


def cell(kind: str, inputs: list[int], outputs: list[int], **attributes: str) -> dict[str, object]:
    """A cell of yosys's JSON."""
    return {
        "type": kind,
        "parameters": {"TYPE": "module"},
        "attributes": attributes,
        "port_directions": {"I": "input", "O": "output"},
        "connections": {"I": [*inputs, "0"], "O": outputs},
    }


def net(*bits: int, hidden: bool = False) -> dict[str, object]:
    """A net of yosys's JSON."""
    return {"bits": list(bits), "hide_name": int(hidden)}


def flattened() -> tuple[dict[str, Any], dict[str, Any]]:
    """producer (register 10, then logic 11, 12) -> consumer (register 13)."""
    netlist = {
        "cells": {
            "producer": cell("$scopeinfo", [], [], module="first"),
            "consumer": cell("$scopeinfo", [], [], module="second"),
            "r0": cell("FF", [2], [10]),
            "$lut$1": cell("LUT", [10], [11]),
            "$lut$2": cell("LUT", [11, 13], [12]),
            "r1": cell("FF", [12], [13]),
            "$flatten\\consumer.$mul$9": cell("DSP", [10], [14]),
            "loose": cell("LUT", [90], [91]),
        },
        "netnames": {
            "input": net(2),
            # an output of the one, an input of the other, and a wire of the top
            "wire": net(10),
            "producer.out": net(10),
            "consumer.in": net(10),
            "consumer.state": net(13),
            "$auto$1": net(11, hidden=True),
        },
    }
    hierarchy = {
        "first": {"ports": {"out": {"direction": "output"}}},
        "second": {"ports": {"in": {"direction": "input"}}},
    }
    return netlist, hierarchy


def test_cells_find_their_blocks() -> None:
    labels = label_cells(*flattened())
    assert labels["r0"] == "producer"
    assert labels["r1"] == "consumer"
    assert labels["$flatten\\consumer.$mul$9"] == "consumer"
    # logic goes with what is nearest
    assert labels["$lut$1"] == "producer"
    assert labels["$lut$2"] == "consumer"
    assert labels["loose"] == ""


def test_the_critical_path_by_block() -> None:
    def step(kind: str, source: str, delay: float) -> dict[str, object]:
        return {"type": kind, "delay": delay, "from": {"cell": source}, "to": {"cell": "x"}}

    steps = [
        step("clk-to-q", "r0", 0.5),
        step("routing", "r0", 1.0),
        step("logic", "$lut$1$COMB0", 0.25),
        step("routing", "$lut$1$COMB0", 2.0),
        step("logic", "$lut$2", 0.25),
        step("routing", "$lut$2", 1.0),
        step("setup", "r1", 0.0),
    ]
    report = {
        "critical_paths": [
            {"from": "<async>", "to": "posedge clk", "path": [step("routing", "r1", 50.0)]},
            {"from": "posedge clk", "to": "posedge clk", "path": steps},
        ]
    }
    labels = label_cells(*flattened())
    path = critical_path(report, labels, {"r0": "producer.out", "r1": "consumer.state"})
    assert path is not None
    assert (path.start, path.end, path.nanoseconds) == ("producer.out", "consumer.state", 5.0)
    assert path.segments == (
        Segment("producer", 2, 0.75, 3.0),
        Segment("consumer", 2, 0.25, 1.0),
    )
    assert path.by_block() == {"producer": 3.75, "consumer": 1.25}
    assert type(path).from_dict(path.to_dict()) == path
    assert critical_path({"critical_paths": report["critical_paths"][:1]}, labels, {}) is None


def test_why_a_router_gave_up() -> None:
    lines = [
        "Info: Placing",
        "ERROR: Unable to place cell 'a.b', no BELs remaining to implement cell type 'MULT18X18D'",
        "0 warnings, 1 error",
    ]
    failure = routing_failure("npu64, seed 2", ToolFailedError(1, lines))
    assert isinstance(failure, DoesNotFitError)
    assert str(failure).startswith("npu64, seed 2: no room on the part: Unable to place cell 'a.b'")
    failure = routing_failure("npu64, seed 2", ToolFailedError(1, ["ERROR: failed to route"]))
    assert isinstance(failure, RoutingError)
    assert str(failure) == "npu64, seed 2: the router failed: failed to route"


def test_registers_at_ports() -> None:
    """Inputs come out of one shift register, outputs end in registers, constants stay."""
    cell = {
        "type": "LUT4",
        "port_directions": {"A": "input", "B": "input", "Z": "output"},
        "connections": {"A": [3], "B": [4], "Z": [9]},
    }
    module: dict[str, Any] = {
        "ports": {
            CLOCK: {"direction": "input", "bits": [2]},
            "a": {"direction": "input", "bits": [3, 4]},
            "z": {"direction": "output", "bits": [9, "0", 3]},
        },
        "cells": {"lut": cell},
        "netnames": {"a": {"hide_name": 0, "bits": [3, 4], "attributes": {}}},
    }
    found = with_registers(module)
    assert list(module["cells"]) == ["lut"]
    assert list(found["ports"]) == [CLOCK, SCAN]
    (scan,) = found["ports"][SCAN]["bits"]
    assert scan not in (2, 3, 4, 9)
    assert found["cells"]["lut"] == cell
    registers = {
        name.removeprefix(PREFIX): (cell["connections"]["DI"], cell["connections"]["Q"])
        for name, cell in found["cells"].items()
        if name.startswith(PREFIX)
    }
    assert [registers["a$0"], registers["a$1"]] == [([scan], [3]), ([3], [4])]
    assert [registers["z$0"][0], registers["z$2"][0]] == [[9], [3]]
    # nothing is driven twice
    driven = [target for _, (target,) in registers.values()] + [9, scan, 2]
    assert len(set(driven)) == len(driven)
    assert all(
        cell["connections"]["CLK"] == [2]
        for name, cell in found["cells"].items()
        if name.startswith(PREFIX)
    )
