"""The listing of a program names every command, its engine and its operator."""

import numpy as np

from npu.program_listing import list_program
from rtl.config import PRESETS
from rtl.isa import Command, Opcode, encode_all
from sim.program import Program, ProgramLayer, TensorBinding
from tests.sim.test_program import make_program


def test_header_and_tensors() -> None:
    program = make_program()
    lines = list(list_program(program))
    size = program.commands.nbytes
    assert lines[0] == f"2 commands in {size} bytes, constants 40 bytes, arena 64 bytes"
    assert lines[1] == "input  tensor 4 at arena+16: 1 x 3 x 5 x 2"
    assert lines[2] == "output tensor 7 at arena+0: 1 x 10"
    assert len(lines) == 5


def test_commands_and_operators() -> None:
    config = PRESETS["npu64"]
    commands = [
        Command(Opcode.CONFIG, {"config_id": config.config_id}),
        Command(Opcode.END, {"wait_load": 3}),
    ]
    program = Program(
        config=config,
        commands=encode_all(commands),
        constants=np.zeros(0, np.uint8),
        arena_bytes=16,
        inputs=(TensorBinding("x", 0, 0, (1, 4)),),
        outputs=(),
        layers=(ProgramLayer(7, "ADD", 0, (1,)),),
    )
    first, second = list(list_program(program))[-2:]
    assert first == f"0  control  CONFIG config_id={config.config_id:#x}"
    assert second == "1  control  END wait_load=3  ; operator 7 ADD"
