"""The packaged tools on a design of three modules, start to end."""

import dataclasses
import json
from pathlib import Path

import pytest

import sim.cache
from npu.synth.design import Design
from npu.synth.errors import RoutingError, SynthesisError
from npu.synth.flow import Request, run_flow
from npu.synth.liberty import read_liberty
from npu.synth.process import Tools
from npu.synth.resources import MACRO_BITS, NAND2
from npu.synth.result import Cost
from npu.synth.synthesis import check_mapped
from npu.synth.targets import TARGETS
from tests.npu.synth.tiny import LIBERTY, TINY, Recorder

pytest.importorskip("pyosys", reason="needs the optional packages: pip install -e '.[synth]'")


@pytest.fixture(name="results", autouse=True)
def results_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results are kept here; the router that was compiled once stays where it is."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(sim.cache, "cache_folder", lambda: folder)
    return folder


def cost_of(request: Request, design: Design = TINY) -> tuple[Cost, Recorder]:
    recorder = Recorder()
    with Tools(2) as tools:
        return run_flow(design, request, tools, recorder.listener), recorder


def leftovers(folder: Path) -> list[Path]:
    """What is neither a finished result nor its lock."""
    return [
        path
        for kind in folder.iterdir()
        for path in kind.iterdir()
        if path.suffix != ".lock" and len(path.name) != 24
    ]


def test_place_and_route(results: Path) -> None:
    request = Request(TARGETS["ecp5-25k"], seeds=(1, 2), by_block=True)
    cost, recorder = cost_of(request)
    assert cost.figures["DSP"] == 2
    assert cost.figures["block RAM"] == 1
    expected = cost.figures["LUT"] + 2 * cost.figures["carry"] + 4 * cost.figures["LUT RAM"]
    assert cost.figures["LUTeq"] == expected
    blocks = {block.module: block for _, block in cost.blocks.walk()}
    assert {name: block.count for name, block in blocks.items()} == {
        "tiny": 1,
        "tiny_leaf": 2,
        "tiny_mem": 1,
    }
    assert blocks["tiny_leaf"].total["DSP"] == 2
    assert blocks["tiny_mem"].total["block RAM"] == 1
    assert blocks["tiny"].own["DSP"] == 0
    assert blocks["tiny"].total["FF"] == sum(block.own["FF"] for block in blocks.values())

    assert [routed.seed for routed in cost.routed] == [1, 2]
    assert cost.median_mhz is not None
    assert 20 < cost.median_mhz < 400
    path = cost.routed[0].path
    assert path is not None
    assert path.nanoseconds == pytest.approx(1000 / cost.routed[0].fmax_mhz, rel=0.01)
    # the product of what the memory holds is the long way
    assert path.segments[0].block == "store"
    assert path.segments[-1].block in ("one", "two")
    assert list(cost.alone) == ["tiny"]
    assert any(step.endswith("seed 2") and "outing" in doing for step, doing in recorder.phases)
    assert any("ABC" in doing for _, doing in recorder.phases)
    assert leftovers(results) == []

    assert Cost.from_dict(json.loads(json.dumps(cost.to_dict()))) == cost
    # nothing is done twice
    again, recorder = cost_of(request)
    assert again == cost
    assert recorder.lines == []


def test_gates_and_cells(tmp_path: Path) -> None:
    gates, _ = cost_of(Request(TARGETS["generic"]))
    # two products that are kept, and a counter; the memory is a macro
    assert gates.figures["FF"] == 2 * 16 + 4
    assert gates.figures[MACRO_BITS] == 1024 * 8
    path = tmp_path / "demo.lib"
    path.write_text(LIBERTY)
    mapped, _ = cost_of(Request(TARGETS["generic"], liberty=read_liberty(path)))
    assert mapped.figures[MACRO_BITS] == 1024 * 8
    # a flip-flop is as large as four NANDs, and every gate is made of NANDs and half-size inverters
    assert mapped.figures[NAND2] > 4 * 36 + gates.figures["gates"]
    assert mapped.liberty == "demo.lib"


def test_a_small_memory_is_no_macro() -> None:
    small = TINY.files[0].replace("1023", "511")
    cost, _ = cost_of(Request(TARGETS["generic"]), dataclasses.replace(TINY, files=(small,)))
    assert cost.figures[MACRO_BITS] == 0
    assert cost.figures["FF"] >= 512 * 8


def test_a_liberty_file_that_lacks_cells(tmp_path: Path) -> None:
    path = tmp_path / "demo.lib"
    path.write_text(LIBERTY)
    liberty = read_liberty(path)
    text = "module latch(input e, input d, output reg q); always @* if (e) q = d; endmodule"
    with pytest.raises(SynthesisError, match=r"synthesis of latch failed: .* not supported"):
        cost_of(Request(TARGETS["generic"], liberty=liberty), Design("latch", "latch", (text,)))
    modules = {"top": {"NAND2": 1, "leaf": 2, "$mem_v2": 1}, "leaf": {"INV": 1, "$_TBUF_": 1}}
    with pytest.raises(SynthesisError, match=r"--liberty 'demo\.lib' has no cell for \$_TBUF_$"):
        check_mapped(modules, liberty)


def test_what_yosys_refuses(results: Path) -> None:
    broken = dataclasses.replace(TINY, files=("module tiny(input a; endmodule",))
    with pytest.raises(SynthesisError, match=r"synthesis of tiny failed: .*syntax error"):
        cost_of(Request(TARGETS["ecp5-25k"]), broken)
    assert leftovers(results) == []


def test_a_design_without_a_clock() -> None:
    plain = Design("plain", "plain", ("module plain(input a, output b); assign b = ~a; endmodule",))
    with pytest.raises(RoutingError, match="nothing in it is clocked"):
        cost_of(Request(TARGETS["ecp5-25k"], seeds=(1,)), plain)


def test_a_design_that_does_not_fit_is_not_routed() -> None:
    module = "module many(input clk, input [17:0] a, output reg [{0}:0] p);{1}endmodule"
    lines = "".join(
        f"always @(posedge clk) p[{36 * i} +: 36] <= (a + {i}) * (a ^ {7 * i + 1});"
        for i in range(30)
    )
    many = Design("many", "many", (module.format(36 * 30 - 1, lines),))
    cost, recorder = cost_of(Request(TARGETS["ecp5-25k"], seeds=(1,)), many)
    assert cost.routed == ()
    assert cost.overflow == ["DSP 30 of 28"]
    assert not any("routing" in line for line in recorder.lines)
