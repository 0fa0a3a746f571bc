"""The functional simulator stops where the hardware would, with the same code and command."""

import numpy as np
import pytest
from numpy.typing import NDArray

from npu.verify.random_programs import INPUT, random_program
from rtl.config import PRESETS
from rtl.isa import Command, Destination, Opcode, Region, encode_all
from rtl.registers import ErrorCode
from sim.cycle import simulate
from sim.errors import CommandError, SimulationError
from sim.functional import FunctionalSimulator
from sim.memory import MemoryConfig
from sim.program import Program
from tests.sim.configs import SMALL

CONFIG = SMALL
C = CONFIG.lanes

# a LOAD of one unit of C bytes
UNITS = {"rows": 1, "row_bytes": C, "pad_left": 0, "fold": 0, "merge": 0, "lane_offset": 0,
         "pixels": 1, "pixel_bytes": C,
         "pixel_step": C, "pixel_words": 1, "row_pitch": 0, "plane_pitch": 0}  # fmt: skip

# for each kind of program: which command is changed and how, and what the NPU answers
FAULTS: dict[str, tuple[Opcode, Opcode, dict[str, int], ErrorCode]] = {
    "load rows": (Opcode.LOAD, Opcode.LOAD, {"rows": 0}, ErrorCode.ILLEGAL_FIELD),
    "load pixels": (Opcode.LOAD, Opcode.LOAD, {"pixels": 0}, ErrorCode.ILLEGAL_FIELD),
    "load destination": (Opcode.LOAD, Opcode.LOAD, {"destination": 5}, ErrorCode.ILLEGAL_FIELD),
    "load biases": (Opcode.LOAD, Opcode.LOAD,
                    {**UNITS, "destination": 4, "base": CONFIG.parameter_blocks},
                    ErrorCode.BUFFER_BOUNDS),
    "load biases shape": (Opcode.LOAD, Opcode.LOAD, {**UNITS, "destination": 4, "rows": 2},
                          ErrorCode.ILLEGAL_FIELD),
    "load table": (Opcode.LOAD, Opcode.LOAD,
                   {**UNITS, "destination": 3, "base": CONFIG.table_rows},
                   ErrorCode.BUFFER_BOUNDS),
    "load table shape": (Opcode.LOAD, Opcode.LOAD, {**UNITS, "destination": 3, "row_pitch": 1},
                         ErrorCode.ILLEGAL_FIELD),
    "load weights": (Opcode.LOAD, Opcode.LOAD,
                     {**UNITS, "destination": 1, "rows": 2, "row_stride": 0, "base": 0,
                      "row_pitch": CONFIG.weight_words * CONFIG.channels},
                     ErrorCode.BUFFER_BOUNDS),
    "load words": (Opcode.LOAD, Opcode.LOAD, {"pixel_words": 77}, ErrorCode.ILLEGAL_FIELD),
    "load step": (Opcode.LOAD, Opcode.LOAD, {"fold": 0, "pixel_step": 999},
                  ErrorCode.ILLEGAL_FIELD),
    "fold bytes": (Opcode.LOAD, Opcode.LOAD,
                   {"fold": 1, "pixel_step": 1, "pixel_bytes": 4 * C + 1, "pixel_words": 5},
                   ErrorCode.ILLEGAL_FIELD),
    "fold step": (Opcode.LOAD, Opcode.LOAD,
                  {"fold": 1, "pixel_step": 4 * C + 1, "pixel_bytes": 1, "pixel_words": 1},
                  ErrorCode.ILLEGAL_FIELD),
    "merge offset": (Opcode.LOAD, Opcode.LOAD, {**UNITS, "merge": 1, "lane_offset": C},
                     ErrorCode.ILLEGAL_FIELD),
    "merge bytes": (Opcode.LOAD, Opcode.LOAD,
                    {**UNITS, "merge": 1, "lane_offset": 1, "pixel_bytes": 0},
                    ErrorCode.ILLEGAL_FIELD),
    "merge words": (Opcode.LOAD, Opcode.LOAD, {**UNITS, "merge": 1, "lane_offset": 1},
                    ErrorCode.ILLEGAL_FIELD),
    "merge fold": (Opcode.LOAD, Opcode.LOAD,
                   {**UNITS, "merge": 1, "fold": 1, "lane_offset": 1, "pixel_bytes": 4 * C,
                    "pixel_words": 5}, ErrorCode.ILLEGAL_FIELD),
    "merge weights": (Opcode.LOAD, Opcode.LOAD, {**UNITS, "merge": 1, "destination": 1},
                      ErrorCode.ILLEGAL_FIELD),
    "offset without merge": (Opcode.LOAD, Opcode.LOAD,
                             {**UNITS, "lane_offset": 1, "pixel_bytes": C - 1,
                              "pixel_step": C - 1}, ErrorCode.ILLEGAL_FIELD),
    "load region": (Opcode.LOAD, Opcode.LOAD, {"region": 6}, ErrorCode.REGION_BOUNDS),
    "load offset": (Opcode.LOAD, Opcode.LOAD, {"offset": 2**31}, ErrorCode.REGION_BOUNDS),
    "load base": (Opcode.LOAD, Opcode.LOAD, {"base": CONFIG.scratchpad_words},
                  ErrorCode.SCRATCHPAD_BOUNDS),
    "load plane": (Opcode.LOAD, Opcode.LOAD,
                   {"row_pitch": 2**20 - 1, "base": 0, "rows": 2, "row_stride": 0},
                   ErrorCode.SCRATCHPAD_BOUNDS),
    "store words": (Opcode.LOAD, Opcode.STORE, {"pixel_words": 99}, ErrorCode.ILLEGAL_FIELD),
    "store bytes": (Opcode.LOAD, Opcode.STORE, {"pixel_bytes": 0}, ErrorCode.ILLEGAL_FIELD),
    "store offset": (Opcode.LOAD, Opcode.STORE, {"offset": 2**24}, ErrorCode.REGION_BOUNDS),
    "store base": (Opcode.LOAD, Opcode.STORE, {"base": 2**20 - 1}, ErrorCode.SCRATCHPAD_BOUNDS),
    "conv kernel": (Opcode.CONV, Opcode.CONV, {"kernel_width": 0}, ErrorCode.ILLEGAL_FIELD),
    "conv depth": (Opcode.CONV, Opcode.CONV, {"depth": 1}, ErrorCode.ILLEGAL_FIELD),
    "conv depth large": (Opcode.CONV, Opcode.CONV, {"depth": CONFIG.accumulator_depth + 4},
                         ErrorCode.ILLEGAL_FIELD),
    "conv window stride": (Opcode.CONV, Opcode.CONV, {"window_stride": 3},
                           ErrorCode.ILLEGAL_FIELD),
    "conv group": (Opcode.CONV, Opcode.CONV, {"group_pixels": CONFIG.pixels + 1},
                   ErrorCode.ILLEGAL_FIELD),
    "conv weights": (Opcode.CONV, Opcode.CONV, {"weight_base": CONFIG.weight_words - 1},
                     ErrorCode.BUFFER_BOUNDS),
    "conv parameters": (Opcode.CONV, Opcode.CONV,
                        {"parameter_base": CONFIG.parameter_blocks, "shared_scale": 0},
                        ErrorCode.BUFFER_BOUNDS),
    "conv parameters without biases": (Opcode.CONV, Opcode.CONV,
                                       {"parameter_base": CONFIG.parameter_blocks,
                                        "shared_scale": 0, "no_bias": 1},
                                       ErrorCode.BUFFER_BOUNDS),
    "conv parameters without scales": (Opcode.CONV, Opcode.CONV,
                                       {"parameter_base": CONFIG.parameter_blocks,
                                        "shared_scale": 1, "no_bias": 0},
                                       ErrorCode.BUFFER_BOUNDS),
    "conv input": (Opcode.CONV, Opcode.CONV,
                   {"ifm_origin": CONFIG.scratchpad_words, "pad_left": 0, "pad_top": 0},
                   ErrorCode.SCRATCHPAD_BOUNDS),
    "conv output": (Opcode.CONV, Opcode.CONV, {"ofm_base": CONFIG.scratchpad_words},
                    ErrorCode.SCRATCHPAD_BOUNDS),
    "depthwise depth": (Opcode.DEPTHWISE, Opcode.DEPTHWISE,
                        {"depth": 2 * CONFIG.groups_per_word}, ErrorCode.ILLEGAL_FIELD),
    "depthwise steps": (Opcode.DEPTHWISE, Opcode.DEPTHWISE, {"channel_steps": 2},
                        ErrorCode.ILLEGAL_FIELD),
    "depthwise weights": (Opcode.DEPTHWISE, Opcode.DEPTHWISE,
                          {"weight_base": CONFIG.weight_words}, ErrorCode.BUFFER_BOUNDS),
    "pool input": (Opcode.MAX_POOL, Opcode.MAX_POOL,
                   {"ifm_origin": CONFIG.scratchpad_words, "pad_left": 0, "pad_top": 0},
                   ErrorCode.SCRATCHPAD_BOUNDS),
    "elementwise words": (Opcode.ELEMENTWISE, Opcode.ELEMENTWISE, {"words": 0},
                          ErrorCode.ILLEGAL_FIELD),
    "elementwise repeated input": (Opcode.ELEMENTWISE, Opcode.ELEMENTWISE,
                                   {"ifm2_base": CONFIG.scratchpad_words, "ifm2_repeat": 1},
                                   ErrorCode.SCRATCHPAD_BOUNDS),
    "elementwise function": (Opcode.ELEMENTWISE, Opcode.ELEMENTWISE, {"function": 6},
                             ErrorCode.ILLEGAL_FIELD),
    "elementwise second input": (Opcode.ELEMENTWISE, Opcode.ELEMENTWISE,
                                 {"ifm2_base": CONFIG.scratchpad_words},
                                 ErrorCode.SCRATCHPAD_BOUNDS),
    "elementwise output": (Opcode.ELEMENTWISE, Opcode.ELEMENTWISE, {"ofm_base": 2**20 - 1},
                           ErrorCode.SCRATCHPAD_BOUNDS),
    "config": (Opcode.LOAD, Opcode.CONFIG, {"config_id": 12345}, ErrorCode.CONFIG_MISMATCH),
    "self wait": (Opcode.LOAD, Opcode.LOAD, {"wait_load": 1}, ErrorCode.DEADLOCK),
    "forward wait": (Opcode.ELEMENTWISE, Opcode.ELEMENTWISE, {"wait_store": 1}, ErrorCode.DEADLOCK),
}  # fmt: skip


def faulty_program(name: str) -> tuple[Program, dict[int, NDArray[np.int8]], int, ErrorCode]:
    """(program, inputs, index of the changed command, expected code)."""
    kind, target, changes, code = FAULTS[name]
    program, inputs = random_program(CONFIG, 5, (kind,), size=3)
    commands = program.decode()
    index = next(i for i, command in enumerate(commands) if command.opcode == target)
    commands[index] = Command(target, {**commands[index].fields, **changes})
    changed = Program(
        CONFIG,
        encode_all(commands),
        program.constants,
        program.arena_bytes,
        program.inputs,
        program.outputs,
    )
    return changed, inputs, index, code


@pytest.mark.parametrize("name", FAULTS)
def test_stops_at_faulty_command(name: str) -> None:
    program, inputs, index, code = faulty_program(name)
    with pytest.raises(CommandError) as caught:
        FunctionalSimulator(CONFIG).run(program, inputs)
    assert (caught.value.code, caught.value.command) == (code, index)


def with_stream(*beats: int) -> Program:
    constants = np.zeros(0, np.uint8)
    return Program(CONFIG, np.array(beats, np.uint64), constants, 0, (), ())


CONFIG_BEATS = (1, CONFIG.config_id)


@pytest.mark.parametrize(
    ("beats", "code", "command"),
    [
        ((), ErrorCode.TRUNCATED_STREAM, 0),
        (CONFIG_BEATS, ErrorCode.TRUNCATED_STREAM, 1),
        ((1,), ErrorCode.TRUNCATED_STREAM, 0),
        ((*CONFIG_BEATS, 3, 0, 0), ErrorCode.TRUNCATED_STREAM, 1),
        ((*CONFIG_BEATS, 0), ErrorCode.ILLEGAL_OPCODE, 1),
        ((*CONFIG_BEATS, 9), ErrorCode.ILLEGAL_OPCODE, 1),
        ((2,), ErrorCode.CONFIG_MISMATCH, 0),
        ((*CONFIG_BEATS, *CONFIG_BEATS, 2), ErrorCode.CONFIG_MISMATCH, 1),
        ((1, CONFIG.config_id ^ 1, 2), ErrorCode.CONFIG_MISMATCH, 0),
        ((*CONFIG_BEATS, 2 | 1 << 8, *CONFIG_BEATS), ErrorCode.ILLEGAL_FIELD, 1),
        ((*CONFIG_BEATS, 2 | 1 << 8), ErrorCode.ILLEGAL_FIELD, 1),
        ((1, CONFIG.config_id | 1 << 32, 2), ErrorCode.ILLEGAL_FIELD, 0),
    ],
)
def test_refuses_stream(beats: tuple[int, ...], code: ErrorCode, command: int) -> None:
    with pytest.raises(CommandError) as caught:
        FunctionalSimulator(CONFIG).run(with_stream(*beats), {})
    assert (caught.value.code, caught.value.command) == (code, command)
    with pytest.raises(CommandError) as caught:
        simulate(with_stream(*beats), MemoryConfig())
    assert (caught.value.code, caught.value.command) == (code, command)


def test_what_follows_end_is_ignored() -> None:
    assert FunctionalSimulator(CONFIG).run(with_stream(*CONFIG_BEATS, 2, 0, 99), {}).outputs == {}


def test_refuses_weights_in_columns_without_input() -> None:
    config = PRESETS["npu512"]
    assert config.taps_per_step(2) < config.channels
    load = {
        "offset": 0, "region": int(Region.CONSTANTS), "destination": int(Destination.WEIGHTS),
        "rows": 1, "pad_value": 0, "row_bytes": 64, "row_stride": 0, "pad_left": 0, "fold": 0,
        "merge": 0, "lane_offset": 0, "pixels": 8, "pixel_bytes": 8, "pixel_step": 8,
        "pixel_words": 1, "base": 0, "row_pitch": 0, "plane_pitch": 0,
    }  # fmt: skip
    for seed in range(100):
        program, inputs = random_program(config, seed, (Opcode.DEPTHWISE,), size=3)
        commands = program.decode()
        compute = next(i for i, c in enumerate(commands) if c.opcode == Opcode.DEPTHWISE)
        if commands[compute]["window_stride"] == 2 and commands[compute]["weight_base"] == 0:
            break
    else:
        pytest.fail("no seed gives a depthwise command of stride 2 with weights at 0")
    commands.insert(compute, Command(Opcode.LOAD, {**load, "offset": len(program.constants)}))
    constants = np.concatenate([program.constants, np.ones(64, np.uint8)])
    broken = Program(config, encode_all(commands), constants, program.arena_bytes,
                     program.inputs, ())  # fmt: skip
    with pytest.raises(SimulationError, match="nonzero weights for taps from 2 on"):
        FunctionalSimulator(config).run(broken, inputs)


def test_inputs_are_checked() -> None:
    program, inputs = random_program(CONFIG, 1, (Opcode.LOAD,), size=3)
    simulator = FunctionalSimulator(CONFIG)
    data = inputs[INPUT]
    name = program.inputs[0].name
    by_name = simulator.run(program, {name: data})
    by_index = simulator.run(program, inputs)
    np.testing.assert_array_equal(by_name.outputs[1], by_index.outputs[1])
    with pytest.raises(SimulationError, match="is missing; given: none"):
        simulator.run(program, {})
    both: dict[str | int, NDArray[np.int8]] = {name: data, INPUT: data}
    with pytest.raises(SimulationError, match="is given twice"):
        simulator.run(program, both)
    with pytest.raises(SimulationError, match="unknown input 'x'"):
        simulator.run(program, {name: data, "x": data})
    with pytest.raises(SimulationError, match=r"must be int8 \[\d+\], got int8 \[1\]"):
        simulator.run(program, {name: data[:1]})
    with pytest.raises(SimulationError, match="got uint8"):
        simulator.run(program, {name: data.view(np.uint8)})


def test_progress_counts_commands() -> None:
    program, inputs = random_program(CONFIG, 1, (Opcode.CONV,), size=3)
    calls: list[tuple[int, int]] = []
    FunctionalSimulator(CONFIG).run(
        program, inputs, lambda done, total: calls.append((done, total))
    )
    total = len(program.decode())
    assert calls == [(number, total) for number in range(1, total + 1)]
