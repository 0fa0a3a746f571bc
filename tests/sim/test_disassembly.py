from rtl.config import PRESETS
from sim.disassembly import disassemble_program
from tests.npu.compiler.support import compile_model
from tests.npu.small_model import classifier


def test_listing_names_index_waits_operator_and_fields() -> None:
    _, _, (program,) = compile_model(classifier(), PRESETS["npu256"])
    lines = disassemble_program(program).splitlines()
    commands = program.decode()
    assert len(lines) == len(commands)
    assert "CONFIG config_id=0x" in lines[0]
    assert lines[-1].split() == [str(len(lines) - 1), "0/0/0", "END"]
    for layer in program.layers:
        for index in layer.compute_commands:
            command = commands[index]
            words = lines[index].split()
            waits = "/".join(str(command[f"wait_{e}"]) for e in ("load", "compute", "store"))
            assert words[:2] == [str(index), waits]
            assert words[2] == f"{layer.operator_index}:{layer.kind}"
            assert words[3] == command.opcode.name
            assert not any(word.startswith("wait_") for word in words)
