"""Every error of the register map on the RTL: code, command, untouched memory, a working restart.

`test_functional_errors` and `test_rtl_runner` compare codes with the functional simulator; here
the memory around is watched, and the same NPU goes on with the next program.
"""

import dataclasses

import numpy as np
import pytest
from amaranth.hdl import Shape
from numpy.typing import NDArray

from npu.verify.random_programs import INPUT, KINDS, OUTPUT
from rtl.isa import COMMANDS, WAIT_BITS, Command, Opcode, Region, encode_all
from rtl.registers import ErrorCode, Event, Status
from sim.functional import FunctionalSimulator
from sim.memory import MemoryConfig
from tests.sim.board import Board, written_bytes
from tests.sim.scene import CONFIG, TIMINGS, Scene, placement, small_program, staged


@pytest.fixture(params=TIMINGS)
def timing(request: pytest.FixtureRequest) -> MemoryConfig:
    return TIMINGS[request.param]


@pytest.mark.parametrize("number", [0, 9, 0x83, 255])
def test_illegal_opcode(number: int, timing: MemoryConfig) -> None:
    with staged((Opcode.CONV, Opcode.LOAD), timing) as scene:
        for index in range(len(scene.commands)):
            old = int(scene.commands[index].opcode)
            address = scene.placed.commands + 8 * scene.beat(index)
            scene.board.view(address, 1)[0] = number
            scene.check(scene.run(), ErrorCode.ILLEGAL_OPCODE, index)
            scene.board.view(address, 1)[0] = old
        scene.check_restart()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_reserved_bit(kind: Opcode, timing: MemoryConfig) -> None:
    with staged((kind,), timing) as scene:
        for index, command in enumerate(scene.commands):
            fmt = COMMANDS[command.opcode]
            for name, member in fmt.layout:
                if name == "opcode" or name in fmt.fields:
                    continue
                width = Shape.cast(member.shape).width
                for bit in {member.offset, member.offset + width // 2, member.offset + width - 1}:
                    scene.flip(index, bit)
                    message = f"{command.opcode.name} bit {bit}"
                    scene.check(scene.run(), ErrorCode.ILLEGAL_FIELD, index, message)
                    scene.flip(index, bit)
        scene.check_restart()


@pytest.mark.parametrize("change", [1, 1 << 31])
def test_other_configuration(change: int, timing: MemoryConfig) -> None:
    with staged((Opcode.CONV,), timing) as scene:
        scene.change(0, config_id=CONFIG.config_id ^ change)
        scene.check(scene.run(), ErrorCode.CONFIG_MISMATCH, 0, limit=0)
        scene.check_restart()


def test_configuration_is_the_first_command_and_only_that(timing: MemoryConfig) -> None:
    with staged((Opcode.LOAD,), timing) as scene:
        first = scene.placed.commands + 8 * COMMANDS[Opcode.CONFIG].beats
        outcome = scene.run(commands=first)
        scene.check(outcome, ErrorCode.CONFIG_MISMATCH, 0, limit=0)
        again = encode_all([*scene.commands[:2], scene.commands[0], *scene.commands[2:]])
        address = scene.board.put(again.tobytes(), 8)
        outcome = scene.run(commands=address, command_bytes=again.nbytes)
        scene.check(outcome, ErrorCode.CONFIG_MISMATCH, 2, limit=0)
        scene.check_restart()


def test_stream_truncated_anywhere(timing: MemoryConfig) -> None:
    with staged((Opcode.CONV, Opcode.ELEMENTWISE), timing) as scene:
        ends = np.cumsum([COMMANDS[command.opcode].beats for command in scene.commands])
        for beats in range(ends[-1]):
            command = int(np.searchsorted(ends, beats, side="right"))
            # the last three bits of the size do not count
            outcome = scene.run(command_bytes=8 * beats + beats % 8)
            scene.check(outcome, ErrorCode.TRUNCATED_STREAM, command, f"{beats} beats")
        scene.check_restart()


def test_region_bounds_of_load(timing: MemoryConfig) -> None:
    with staged((Opcode.CONV,), timing) as scene:
        for index, command in enumerate(scene.commands):
            if command.opcode != Opcode.LOAD:
                continue
            end = command["offset"] + command["row_bytes"]
            end += (command["rows"] - 1) * command["row_stride"]
            which = "constant_bytes" if command["region"] == 0 else "arena_bytes"
            others = [
                other["offset"] + other["row_bytes"] + (other["rows"] - 1) * other["row_stride"]
                for other in scene.commands[1:index]
                if other.opcode == Opcode.LOAD and other["region"] == command["region"]
            ]
            assert max(others, default=0) < end
            outcome = scene.run(**{which: end - 1})
            scene.check(outcome, ErrorCode.REGION_BOUNDS, index, limit=0)
            outcome = scene.run(**{which: 0})
            assert outcome.code == ErrorCode.REGION_BOUNDS
            scene.check_memory(limit=0)
            for fields in (
                {"offset": 2**32 - 1},
                {"offset": 2**32 - command["row_bytes"]},
                {"row_bytes": 2**24 - 1},
                {"region": 7},
            ):
                scene.change(index, **fields)
                scene.check(scene.run(), ErrorCode.REGION_BOUNDS, index, str(fields), limit=0)
                scene.change(index)
        scene.check_restart()


def test_bytes_behind_the_last_pixel(timing: MemoryConfig) -> None:
    """They are read although nothing needs them: the run ends behind them, or at their fault."""
    program, _ = small_program((Opcode.LOAD,), 5)
    config, load, _, end = program.decode()
    for row_bytes in (700, 3000):
        longer = Command(Opcode.LOAD, {**load.fields, "rows": 1, "row_bytes": row_bytes})
        program = dataclasses.replace(
            program,
            commands=encode_all([config, longer, end]),
            arena_bytes=longer["offset"] + row_bytes,
            inputs=(),
            outputs=(),
        )
        board = Board(CONFIG, timing)
        try:
            placed = board.place(program, np.zeros(program.arena_bytes, np.int8))
            before = board.data.copy()
            outcome = board.run(placed)
            assert outcome.status == Status.DONE | Status.IRQ, row_bytes
            assert outcome.counters[Event.READ_BEATS] >= row_bytes // CONFIG.bus_bytes
            short = dataclasses.replace(placed, arena_bytes=placed.arena_bytes - 1)
            outcome = board.run(short)
            assert (outcome.code, outcome.command) == (ErrorCode.REGION_BOUNDS, 1), row_bytes
            np.testing.assert_array_equal(board.data, before)
            board.check_program(*small_program(KINDS, 77))
        finally:
            board.close()


def test_region_bounds_of_store(timing: MemoryConfig) -> None:
    """What is inside the region is written, nothing behind it."""
    seed = next(
        seed
        for seed in range(100)
        if any(
            command.opcode == Opcode.STORE and command["rows"] == 3
            for command in small_program((Opcode.LOAD,), seed)[0].decode()
        )
    )
    with staged((Opcode.LOAD,), timing, seed) as scene:
        index = scene.index(Opcode.STORE)
        store = scene.commands[index]
        row_bytes = store["pixels"] * store["pixel_bytes"]
        ends = [store["offset"] + row * store["row_stride"] + row_bytes for row in range(3)]
        for row, end in enumerate(ends):
            scene.board.arena(scene.placed)[len(scene.inputs) :] ^= 0x55
            outcome = scene.run(arena_bytes=end - 1)
            scene.golden = _golden(scene)
            message = f"seed {seed} row {row}"
            scene.check(outcome, ErrorCode.REGION_BOUNDS, index, message, limit=end - 1)
            for whole in ends[:row]:
                np.testing.assert_array_equal(
                    scene.board.arena(scene.placed)[whole - row_bytes : whole],
                    scene.golden[whole - row_bytes : whole],
                    err_msg=message,
                )
        for fields in (
            {"offset": 2**32 - 1},
            {"offset": 2**32 - row_bytes},
            {"region": 5},
        ):
            scene.change(index, **fields)
            scene.check(scene.run(), ErrorCode.REGION_BOUNDS, index, str(fields), limit=0)
        scene.check_restart()


def _golden(scene: Scene) -> NDArray[np.uint8]:
    """The correct program's arena on top of what the board's memory holds."""
    result = FunctionalSimulator(CONFIG).run(scene.program, {INPUT: scene.inputs})
    golden = np.concatenate([scene.inputs, result.outputs[OUTPUT]]).view(np.uint8)
    return np.where(written_bytes(scene.program), golden, scene.board.arena(scene.placed))


def _first_to_touch(base: dict[int, int], scene: Scene, opcode: Opcode, address: int) -> int:
    """The first LOAD or STORE that moves the beat with a bus address; neighbours share beats."""
    beat = address // CONFIG.bus_bytes
    for index, command in enumerate(scene.commands):
        if command.opcode != opcode:
            continue
        size = command["pixels"] * command["pixel_bytes"]
        size = command["row_bytes"] if opcode == Opcode.LOAD else size
        for row in range(command["rows"]):
            begin = base[command["region"]] + command["offset"] + row * command["row_stride"]
            if begin // CONFIG.bus_bytes <= beat <= (begin + size - 1) // CONFIG.bus_bytes:
                return index
    raise AssertionError(f"no {opcode.name} moves {address:#x}")


@pytest.mark.parametrize(
    ("opcode", "code"),
    [(Opcode.LOAD, ErrorCode.READ_BUS), (Opcode.STORE, ErrorCode.WRITE_BUS)],
    ids=lambda value: value.name,
)
def test_bus_errors(opcode: Opcode, code: ErrorCode, timing: MemoryConfig) -> None:
    kinds = (Opcode.CONV, Opcode.LOAD, Opcode.LOAD)
    placed = placement(kinds)
    base = {int(Region.CONSTANTS): placed.constants, int(Region.ARENA): placed.arena}
    reported = set()
    commands = [c for c in small_program(kinds, 5)[0].decode() if c.opcode == opcode]
    for command in commands:
        size = command["pixels"] * command["pixel_bytes"]
        size = command["row_bytes"] if opcode == Opcode.LOAD else size
        last = (command["rows"] - 1) * command["row_stride"] + size - 1
        for byte in {0, size // 2, last}:
            address = base[command["region"]] + command["offset"] + byte
            fault = {"read" if opcode == Opcode.LOAD else "write": address}
            with staged(kinds, timing, **fault) as scene:
                index = _first_to_touch(base, scene, opcode, address)
                scene.check(scene.run(), code, index, f"byte {byte} of {index}")
                scene.check_restart()
            reported.add(index)
    assert len(reported) == len(commands)


def test_fetch_errors(timing: MemoryConfig) -> None:
    kinds = (Opcode.LOAD, Opcode.ELEMENTWISE)
    placed = placement(kinds)
    lengths = [COMMANDS[c.opcode].beats for c in small_program(kinds, 5)[0].decode()]
    ends = 8 * np.cumsum(lengths)
    for byte in range(3, ends[-1], 20):
        with staged(kinds, timing, read=placed.commands + byte) as scene:
            index = int(np.searchsorted(ends, byte, side="right"))
            scene.check(scene.run(), ErrorCode.FETCH_BUS, index, f"byte {byte}")
            scene.check_restart()


def test_errors_behind_the_end_do_not_count(timing: MemoryConfig) -> None:
    placed = placement((Opcode.LOAD,))
    end = placed.commands + placed.command_bytes
    with staged((Opcode.LOAD,), timing, read=end + 8) as scene:
        outcome = scene.run(command_bytes=placed.command_bytes + 64)
        assert (outcome.status, outcome.code) == (Status.DONE | Status.IRQ, ErrorCode.NONE)
        np.testing.assert_array_equal(scene.board.arena(scene.placed), scene.golden)


@pytest.mark.parametrize(
    ("kind", "waiting", "fields"),
    [
        (Opcode.LOAD, Opcode.LOAD, {"wait_load": 1}),
        (Opcode.LOAD, Opcode.LOAD, {"wait_store": 1}),
        (Opcode.LOAD, Opcode.STORE, {"wait_compute": 1}),
        (Opcode.CONV, Opcode.CONV, {"wait_compute": 1}),
        (Opcode.CONV, Opcode.CONV, {"wait_load": (1 << WAIT_BITS - 1) - 1}),
        (Opcode.ELEMENTWISE, Opcode.ELEMENTWISE, {"wait_store": 1}),
    ],
)
def test_deadlock(
    kind: Opcode, waiting: Opcode, fields: dict[str, int], timing: MemoryConfig
) -> None:
    with staged((kind, Opcode.LOAD), timing) as scene:
        index = scene.index(waiting)
        scene.change(index, **fields)
        outcome = scene.run()
        # the dispatcher goes on until a queue is full, or until END
        assert index <= outcome.command < len(scene.commands)
        scene.check(outcome, ErrorCode.DEADLOCK, outcome.command)
        scene.check_restart()


def test_deadlock_with_full_queues(timing: MemoryConfig) -> None:
    with staged((Opcode.LOAD,), timing) as scene:
        waiting = Command(Opcode.LOAD, {**scene.commands[1].fields, "wait_store": 1})
        stream = encode_all([scene.commands[0], *[waiting] * 20, scene.commands[-1]])
        address = scene.board.put(stream.tobytes(), 8)
        outcome = scene.run(commands=address, command_bytes=stream.nbytes)
        assert 1 < outcome.command < 20
        scene.check(outcome, ErrorCode.DEADLOCK, outcome.command, limit=0)
        scene.check_restart()


def test_a_slow_memory_is_no_deadlock() -> None:
    with staged((Opcode.CONV,), MemoryConfig(latency_cycles=5000)) as scene:
        scene.check_restart()
