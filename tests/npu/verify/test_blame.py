"""What a failure on the RTL says, shown on faults planted into five blocks of one netlist."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.verify.blame import MARGIN, difference
from npu.verify.random_programs import OUTPUT, random_program
from rtl.isa import Command, Opcode, encode_all
from sim.functional import FunctionalSimulator
from sim.program import Program, TensorBinding
from sim.result import SimulationResult
from sim.rtl_runner import RtlSimulator, build
from sim.verilator.design import design_text
from tests.sim.comparison import assert_same
from tests.sim.configs import SMALL
from tests.support.planted_faults import plant, switch

FAULTS = {
    # block: an input of it, when it is wrong, and how
    "npu_load_unpacker": ("beats__payload", "beats__payload[3:0] == 4'h9", "32'h40"),
    "npu_compute_windows": ("fetch__words__1", "fetch__words__1[3:0] == 4'h5", "32'h40"),
    "npu_compute_grid_row": ("weights__0", "weights__0[3:0] == 4'h5", "32'h20"),
    "npu_compute_requantize_lane": ("multiplier", "multiplier[2:0] == 3'h5", "32'h8000000"),
    "npu_scratchpad": ("store__address", "store__address[2:0] == 3'h3", "20'h1"),
}

CASES = {
    "npu_load_unpacker": Opcode.LOAD,
    "npu_compute_windows": Opcode.MAX_POOL,
    "npu_compute_grid_row": Opcode.CONV,
    "npu_compute_requantize_lane": Opcode.DEPTHWISE,
    "npu_scratchpad": Opcode.LOAD,
}
"""Kind of the programs that find the fault."""


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> RtlSimulator:
    text = plant(design_text(SMALL), FAULTS)
    monkeypatch.setattr(build, "design_text", lambda config, log=None: text)
    return RtlSimulator(SMALL)


@pytest.mark.parametrize("block", FAULTS)
def test_a_failure_says_where(block: str, faulty: RtlSimulator) -> None:
    kind = CASES[block]
    for seed in range(9000, 9020):
        program, inputs = random_program(SMALL, seed, (kind, Opcode.LOAD))
        expected = FunctionalSimulator(SMALL).run(program, inputs)
        off = partial(faulty.run, program, inputs)
        assert_same(program, off, expected)
        on = partial(off, bus_timeout=switch(FAULTS, block))
        try:
            assert_same(program, on, expected, f"{block}, seed {seed}")
        except AssertionError as error:
            message = str(error)
            break
    else:
        pytest.fail("the fault shows nowhere")
    commands = program.decode()
    found = re.fullmatch(
        rf"{block}, seed {seed}: the RTL differs in (\d+) elements; of the earliest command"
        r" (\w+)\[(\d+)\] should be (-?\d+), is (-?\d+)\n"
        r"computed in cycles (\d+) to (\d+) by command (\d+) \(its y (\d+), x (\d+), c (\d+)\):"
        r" (\w+) [^\n]+\n"
        r"stored in cycles (\d+) to (\d+) by command (\d+): STORE [^\n]+\n"
        r"waves of cycles (\d+) to (\d+): (.+)",
        message,
    )
    assert found is not None, message
    position, wanted, got, begin, end, maker = map(int, found.group(3, 4, 5, 6, 7, 8))
    assert expected.outputs[OUTPUT][position] == wanted != got
    assert commands[maker].opcode == Opcode[found[12]] == kind
    stored, store_end, store, first, last = map(int, found.group(13, 14, 15, 16, 17))
    assert begin <= end <= stored <= store_end
    assert commands[store].opcode == Opcode.STORE
    assert maker < store
    assert (first, last) == (max(0, begin - MARGIN), store_end + MARGIN)
    waves = Path(found[18])
    assert waves.stat().st_size > 1000
    waves.unlink()
    waves.parent.rmdir()


def test_elements_that_nothing_stores_are_said_to_be_so() -> None:
    commands = [Command(Opcode.CONFIG, {"config_id": SMALL.config_id}), Command(Opcode.END, {})]
    program = Program(
        config=SMALL,
        commands=encode_all(commands),
        constants=np.zeros(8, np.uint8),
        arena_bytes=8,
        inputs=(),
        outputs=(TensorBinding("kept", OUTPUT, 0, (2, 4)),),
    )
    zeros, changed = np.zeros((2, 4), np.int8), np.zeros((2, 4), np.int8)
    changed[1, 2] = 7

    def result(values: NDArray[np.int8]) -> SimulationResult:
        return SimulationResult(outputs={OUTPUT: values}, tensors={}, cycles=10)

    message = (
        r"differs in 1 elements; of the earliest command kept\[1, 2\] should be 0, is 7\n"
        r"computed by no command\nstored by no command$"
    )
    with pytest.raises(AssertionError, match=message):
        assert_same(program, lambda **_: result(changed), result(zeros))


def test_hardware_that_traces_nothing_is_blamed_without_cycles() -> None:
    program, inputs = random_program(SMALL, 9000, (Opcode.LOAD,))
    expected = FunctionalSimulator(SMALL).run(program, inputs)
    wrong = {index: value ^ 1 for index, value in expected.outputs.items()}
    got = SimulationResult(outputs=wrong, tensors={}, cycles=10)
    found = difference(program, lambda **_: got, expected, got)
    assert found is not None
    assert found.waves is None
    assert any(line.startswith("stored by command ") for line in found.lines())
