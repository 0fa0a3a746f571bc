"""Program: round trip through a file, and what is refused."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtl.config import PRESETS, NpuConfig
from rtl.errors import ConfigError
from rtl.isa import Command, Opcode, encode_all
from sim.errors import ProgramError
from sim.memory import MemoryConfig
from sim.program import Program, ProgramLayer, TensorBinding


def make_program(config: NpuConfig = PRESETS["npu64"]) -> Program:
    commands = [
        Command(Opcode.CONFIG, {"config_id": config.config_id}),
        Command(Opcode.END, {"wait_load": 3}),
    ]
    binding = TensorBinding("input", 4, 16, (1, 3, 5, 2))
    return Program(
        config=config,
        commands=encode_all(commands),
        constants=np.arange(40, dtype=np.uint8),
        arena_bytes=64,
        inputs=(binding,),
        outputs=(TensorBinding("output", 7, 0, (1, 10)),),
        tensors=(binding,),
        layers=(ProgramLayer(2, "CONV_2D", 1234, (1, 5)),),
    )


def rewrite(path: Path, **changes: Any) -> None:
    """Change entries of the metadata of a program file; None removes one."""
    with np.load(path) as archive:
        arrays = dict(archive)
    metadata = {**json.loads(arrays["metadata"].tobytes()), **changes}
    metadata = {key: value for key, value in metadata.items() if value is not None}
    arrays["metadata"] = np.frombuffer(json.dumps(metadata).encode(), dtype=np.uint8)
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def test_round_trip(tmp_path: Path) -> None:
    program = make_program()
    path = tmp_path / "a.npu"
    program.save(path)
    again = Program.load(path)
    np.testing.assert_array_equal(again.commands, program.commands)
    np.testing.assert_array_equal(again.constants, program.constants)
    for name in ("config", "arena_bytes", "inputs", "outputs", "tensors", "layers"):
        assert getattr(again, name) == getattr(program, name), name
    assert [command.opcode for command in again.decode()] == [Opcode.CONFIG, Opcode.END]
    assert again.macs == 1234


def test_arrays_are_frozen() -> None:
    program = make_program()
    with pytest.raises(ValueError, match="read-only"):
        program.commands[0] = 0


def with_array(header: bytes) -> bytes:
    """An archive of a program whose commands have this header and no values."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("metadata", "commands", "constants"):
            length = len(header).to_bytes(2, "little")
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + length + header)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a program file"),
        (b"TFL3 no archive", "not a program file"),
        (b"PK\x03\x04 broken", "not a program file"),
        (with_array(b"{'descr': '<u8', 'fortran_order': False, 'shape': (10**19,)}"), "not a prog"),
        (with_array(b"{'descr': '<u8', 'shape': ("), "not a program file"),
    ],
    ids=["empty", "other", "broken", "huge", "tokens"],
)
def test_load_refuses_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ProgramError, match=message):
        Program.load(path)


def test_load_refuses_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="No such file"):
        Program.load(tmp_path / "none")


def test_load_refuses_every_truncation_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "a"
    make_program().save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(ProgramError):
            Program.load(path)
    # one damaged byte of the compressed metadata: either noticed by the archive's checksum, or
    # in a place that carries no data (time stamps)
    for position in range(40, 400, 17):
        damaged = bytearray(whole)
        damaged[position] ^= 0x5A
        path.write_bytes(damaged)
        try:
            again = Program.load(path)
        except ProgramError:
            continue
        np.testing.assert_array_equal(again.commands, make_program().commands)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 99}, "version 99, this tool reads 1"),
        ({"format": "other"}, "another format"),
        ({"inputs": None}, "damaged metadata: KeyError"),
        ({"inputs": [{"name": 1}]}, "damaged metadata"),
        ({"layers": 3}, "damaged metadata"),
        ({"config": {"pixels": 3}}, "illegal configuration: pixels"),
        ({"config_id": 1}, "compile it again"),
        ({"arena_bytes": 1 << 62}, "arena_bytes must be from 0 to 4294967296"),
        ({"arena_bytes": 20}, "ends at byte 46 of an arena of 20"),
    ],
)
def test_load_refuses_damaged_metadata(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a"
    make_program().save(path)
    rewrite(path, **changes)
    with pytest.raises(ProgramError, match=message):
        Program.load(path)


def test_save_reports_unwritable_path(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="cannot write"):
        make_program().save(tmp_path / "no" / "such" / "folder")


def test_refuses_wrong_arrays_and_bindings() -> None:
    config = PRESETS["npu64"]
    with pytest.raises(ProgramError, match=r"commands must be uint64 \[n\], got int64"):
        Program(config, np.zeros(3, np.int64), np.zeros(0, np.uint8), 0, (), ())
    with pytest.raises(ProgramError, match="must be int8 or uint8 in the arena, got int16"):
        TensorBinding("a", 0, 0, (1,), "int16")
    with pytest.raises(ProgramError, match="positive extents"):
        TensorBinding("a", 0, 0, (1, 0))


def test_decode_refuses_malformed_stream() -> None:
    program = Program(PRESETS["npu64"], np.zeros(1, np.uint64), np.zeros(0, np.uint8), 0, (), ())
    with pytest.raises(ProgramError, match="unknown opcode 0"):
        program.decode()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latency_cycles": 0}, "between 1 and 100000, got 0"),
        ({"latency_cycles": 1.5}, "must be an integer"),
        ({"stall_probability": 1.0}, "between 0 and 0.9, got 1.0"),
        ({"stall_probability": float("nan")}, "between 0 and 0.9"),
        ({"stall_probability": "1"}, "must be a number"),
        ({"stall_seed": -1}, "got -1"),
    ],
)
def test_memory_config_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MemoryConfig(**values)
