"""The ends of every range on the RTL: zero counts, last words, many rows, long streams.

What comes out is compared with the functional simulator.
"""

import dataclasses

import numpy as np
import pytest

from npu.verify.random_programs import INPUT, OUTPUT, random_program
from rtl.config import BIAS_BYTES, PARAMETER_BYTES
from rtl.isa import ADDRESS_BITS, REGIONS, Command, Destination, Opcode, Region, encode_all
from rtl.registers import ErrorCode, Status, region_base, region_size
from sim.errors import CommandError
from sim.functional import FunctionalSimulator
from sim.memory import MemoryConfig
from sim.program import Program, TensorBinding
from sim.rtl_runner import RtlSimulator
from tests.sim import configs
from tests.sim.board import Board, written_bytes
from tests.sim.scene import CONFIG, TIMINGS, small_program, staged

_GRID: tuple[str, ...] = (
    "ofm_height",
    "ofm_width",
    "ifm_height",
    "ifm_width",
    "kernel_height",
    "kernel_width",
)
_GRID += ("channel_steps", "blocks", "depth", "group_pixels", "window_stride")
COUNTS: dict[Opcode, tuple[str, ...]] = {
    Opcode.LOAD: ("rows", "row_bytes", "pixels", "pixel_bytes", "pixel_step", "pixel_words"),
    Opcode.STORE: ("rows", "pixels", "pixel_bytes", "pixel_words"),
    Opcode.CONV: _GRID,
    Opcode.DEPTHWISE: _GRID,
    Opcode.MAX_POOL: _GRID,
    Opcode.ELEMENTWISE: ("words",),
}


@pytest.mark.parametrize("opcode", COUNTS, ids=lambda opcode: opcode.name)
def test_zero_in_each_count_field(opcode: Opcode) -> None:
    kind = Opcode.LOAD if opcode == Opcode.STORE else opcode
    with staged((kind,), TIMINGS["fast"]) as scene:
        index = scene.index(opcode)
        for name in COUNTS[opcode]:
            commands = list(scene.commands)
            commands[index] = Command(opcode, {**commands[index].fields, name: 0})
            program = dataclasses.replace(scene.program, commands=encode_all(commands))
            with pytest.raises(CommandError) as caught:
                FunctionalSimulator(CONFIG).run(program, {INPUT: scene.inputs})
            assert (caught.value.code, caught.value.command) == (ErrorCode.ILLEGAL_FIELD, index)
            scene.change(index, **{name: 0})
            scene.check(scene.run(), ErrorCode.ILLEGAL_FIELD, index, name)
            scene.change(index)
        scene.check_restart()


def test_end_as_the_first_command() -> None:
    with staged((Opcode.LOAD,), TIMINGS["slow"]) as scene:
        stream = encode_all([scene.commands[-1]])
        address = scene.board.put(stream.tobytes(), 8)
        outcome = scene.run(commands=address, command_bytes=stream.nbytes)
        scene.check(outcome, ErrorCode.CONFIG_MISMATCH, 0, limit=0)
        scene.check_restart()


@pytest.mark.parametrize("region", [Region.CONSTANTS, Region.ARENA], ids=lambda r: r.name)
@pytest.mark.parametrize("number", range(2, REGIONS))
def test_every_region(number: int, region: Region) -> None:
    """A program whose accesses to a region name another one, at the same place."""
    with staged((Opcode.CONV, Opcode.LOAD), TIMINGS["fast"]) as scene:
        for index, command in enumerate(scene.commands):
            if command.opcode in (Opcode.LOAD, Opcode.STORE) and command["region"] == region:
                scene.change(index, region=number)
        constants = region == Region.CONSTANTS
        base = scene.placed.constants if constants else scene.placed.arena
        size = scene.placed.constant_bytes if constants else scene.placed.arena_bytes
        scene.board.write(region_base(number), base)
        scene.board.write(region_size(number), size)
        outcome = scene.run(**{"constant_bytes" if constants else "arena_bytes": 0})
        assert outcome.status == Status.DONE | Status.IRQ
        np.testing.assert_array_equal(scene.board.arena(scene.placed), scene.golden)
        scene.board.write(region_size(number), 0)
        assert scene.run().code == ErrorCode.REGION_BOUNDS


def _copy(rows: int, base: int, pixels: int = 3) -> Program:
    """Rows through the scratchpad: a LOAD and a STORE of so many."""
    config, load, store, end = small_program((Opcode.LOAD,), 5)[0].decode()
    lanes, size = CONFIG.lanes, CONFIG.lanes * pixels - 1
    shape = {"rows": rows, "pixels": 1, "pixel_words": pixels, "pixel_bytes": size, "base": base,
             "row_pitch": 0 if rows == 1 else pixels, "plane_pitch": 1}  # fmt: skip
    zero = dict.fromkeys(("pad_left", "fold", "merge", "lane_offset", "pad_value"), 0)
    region = {"region": Region.ARENA, "row_stride": size + 2}
    loads = {"offset": 0, "destination": Destination.SCRATCHPAD, "row_bytes": size}
    total = rows * (size + 2)
    commands = [
        config,
        Command(Opcode.LOAD, {**load.fields, **shape, **zero, **region, **loads,
                              "pixel_step": size}),
        Command(Opcode.STORE, {**store.fields, **shape, **region, "offset": total,
                               "wait_load": 1}),
        end,
    ]  # fmt: skip
    assert base + rows * pixels <= CONFIG.scratchpad_words
    assert lanes == CONFIG.lanes
    return Program(
        CONFIG,
        encode_all(commands),
        np.zeros(0, np.uint8),
        2 * total,
        (TensorBinding("all", INPUT, 0, (2 * total,)),),
        (TensorBinding("after", OUTPUT, 0, (2 * total,)),),
    )


@pytest.mark.parametrize("rows", [511, 512, 513, 1027])
@pytest.mark.parametrize("latency", [1, 20])
def test_many_rows(rows: int, latency: int) -> None:
    program = _copy(rows, 5)
    data = np.random.default_rng(rows).integers(-128, 128, program.arena_bytes).astype(np.int8)
    expected = FunctionalSimulator(CONFIG).run(program, {INPUT: data})
    result = RtlSimulator(CONFIG, MemoryConfig(latency_cycles=latency)).run(program, {INPUT: data})
    np.testing.assert_array_equal(result.outputs[OUTPUT], expected.outputs[OUTPUT])
    assert not np.array_equal(result.outputs[OUTPUT], data)


def test_the_last_words_of_the_scratchpad() -> None:
    program = _copy(1, CONFIG.scratchpad_words - 3)
    data = np.random.default_rng(3).integers(-128, 128, program.arena_bytes).astype(np.int8)
    expected = FunctionalSimulator(CONFIG).run(program, {INPUT: data})
    result = RtlSimulator(CONFIG).run(program, {INPUT: data})
    np.testing.assert_array_equal(result.outputs[OUTPUT], expected.outputs[OUTPUT])


def _memory(command: Command) -> Destination | None:
    """Where a LOAD writes; biases are parameters, encoded weights are weights."""
    if command.opcode != Opcode.LOAD:
        return None
    destination = Destination(command["destination"])
    same = {
        Destination.BIASES: Destination.PARAMETERS,
        Destination.ENCODED: Destination.WEIGHTS,
    }
    return same.get(destination, destination)


def _last_address(load: Command) -> int:
    """The highest unit or block that a LOAD into a buffer writes."""
    if load["destination"] == Destination.ENCODED:
        return load["base"] + load["rows"] * load["row_pitch"] * load["plane_pitch"] - 1
    planes = {Destination.PARAMETERS: PARAMETER_BYTES, Destination.BIASES: BIAS_BYTES}
    pixels = np.arange(load["pixels"]) // planes.get(Destination(load["destination"]), 1)
    words = np.arange(load["pixel_words"])[:, None] * load["plane_pitch"]
    rows = np.arange(load["rows"])[:, None, None] * load["row_pitch"]
    return int(((load["base"] + pixels + words + rows) % (1 << ADDRESS_BITS)).max())


@pytest.mark.parametrize("name", configs.RTL)
def test_the_last_words_of_weight_and_parameter_buffers(name: str) -> None:
    """A convolution whose weights and parameters are moved up as far as they go."""
    config = configs.RTL[name]
    program, inputs = random_program(config, 7, (Opcode.CONV,), size=3)
    commands = program.decode()
    capacities = {
        Destination.WEIGHTS: config.weight_words * config.channels,
        Destination.PARAMETERS: config.parameter_blocks,
    }
    up: dict[Destination, int] = {}
    for destination, capacity in capacities.items():
        loads = [c for c in commands if _memory(c) == destination]
        up[destination] = capacity - 1 - max(_last_address(c) for c in loads)
    for index, command in enumerate(commands):
        fields = dict(command.fields)
        memory = _memory(command)
        if memory in up:
            fields["base"] += up[memory]
        elif command.opcode == Opcode.CONV:
            assert up[Destination.WEIGHTS] % config.channels == 0
            fields["weight_base"] += up[Destination.WEIGHTS] // config.channels
            fields["parameter_base"] += up[Destination.PARAMETERS]
        commands[index] = Command(command.opcode, fields)
    moved = dataclasses.replace(program, commands=encode_all(commands))
    expected = FunctionalSimulator(config).run(program, inputs)
    result = RtlSimulator(config).run(moved, inputs)
    np.testing.assert_array_equal(result.outputs[OUTPUT], expected.outputs[OUTPUT])


@pytest.mark.parametrize("name", configs.RTL)
def test_a_stream_of_many_pages(name: str) -> None:
    """At every place in a page that the stream can begin, and across several."""
    config = configs.RTL[name]
    program, inputs = random_program(config, 8, (Opcode.LOAD, Opcode.ELEMENTWISE) * 60, size=2)
    assert program.commands.nbytes > 2 * 4096
    expected = FunctionalSimulator(config).run(program, inputs).outputs[OUTPUT]
    golden = np.concatenate([inputs[INPUT], expected.reshape(-1)])
    written = written_bytes(program)
    for shift in (0, 8, 4096 - 8, 2048 + 120):
        board = Board(config, MemoryConfig(latency_cycles=7), size=1 << 18)
        try:
            board.next = shift
            stream = board.put(program.commands.tobytes(), 8, 0)
            placed = board.place(program, inputs[INPUT])
            outcome = board.run(dataclasses.replace(placed, commands=stream))
            assert outcome.status == Status.DONE | Status.IRQ
            arena = board.arena(placed).view(np.int8)
            np.testing.assert_array_equal(arena[written], golden[written], err_msg=str(shift))
        finally:
            board.close()
