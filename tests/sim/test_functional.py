"""The functional simulator computes what ARCHITECTURE.md says, on random legal commands."""

import numpy as np
import pytest

from npu.verify.random_programs import INPUT, KINDS, OUTPUT, random_program
from rtl.isa import Opcode
from sim.functional import FunctionalSimulator
from tests.sim.configs import FUNCTIONAL, SQUARE
from tests.sim.model import Model


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("name", FUNCTIONAL)
@pytest.mark.parametrize("seed", range(4))
def test_equals_model(name: str, kind: Opcode, seed: int) -> None:
    config = FUNCTIONAL[name]
    program, inputs = random_program(config, seed, (kind,), size=3)
    binding = program.inputs[0]
    arena = bytearray(program.arena_bytes)
    arena[binding.offset : binding.offset + binding.size] = inputs[INPUT].tobytes()
    expected = np.frombuffer(Model(config).run(program, bytes(arena)), np.int8)
    result = FunctionalSimulator(config, initial_byte=0x5A).run(program, inputs)
    offset = program.outputs[0].offset
    np.testing.assert_array_equal(result.outputs[OUTPUT], expected[offset:])


def test_several_commands_with_reuse_of_memory() -> None:
    config = SQUARE
    kinds = (*KINDS, *KINDS, *KINDS)
    program, inputs = random_program(config, 3, kinds, size=3)
    expected = Model(config).run(program, inputs[INPUT].tobytes() + bytes(program.outputs[0].size))
    result = FunctionalSimulator(config).run(program, inputs)
    np.testing.assert_array_equal(
        result.outputs[OUTPUT], np.frombuffer(expected, np.int8)[program.outputs[0].offset :]
    )
