"""Step lists of programs: what the hardware makes of their masks, races, limits, legality."""

from dataclasses import replace

import numpy as np
import pytest

from rtl.config import LIST_ROWS, PRESETS, NpuConfig
from rtl.errors import ConfigError
from rtl.isa import Command, Destination, Opcode, Region, encode_all
from rtl.registers import ErrorCode
from sim.command_table import decode_table
from sim.errors import CommandError, HazardError
from sim.functional.simulator import FunctionalSimulator
from sim.hazards import check_dependencies
from sim.legality import illegal_commands
from sim.program import Program
from sim.step_list import forced, kept_words, loaded_rows, packed_rows, rows_of, step_masks
from tests.sim.test_hazards import conv, load, weights

CONFIG = PRESETS["npu64c"]
STEPS = 9


def step_list(row: int, rows: int, offset: int = 0, **fields: int) -> Command:
    """LOAD of a list."""
    own = {"region": int(Region.CONSTANTS), "destination": int(Destination.LIST)}
    return load(row, rows, offset, **{**own, **fields})


def program(*commands: Command, config: NpuConfig = CONFIG, masks: bytes = b"") -> Program:
    stream = [
        Command(Opcode.CONFIG, {"config_id": config.config_id}),
        *commands,
        Command(Opcode.END, {}),
    ]
    constants = np.zeros(1 << 16, np.uint8)
    constants[: len(masks)] = np.frombuffer(masks, np.uint8)
    return Program(config, encode_all(stream), constants, 1 << 16, (), ())


def listed(**fields: int) -> Command:
    return conv(0, 200, **{"listed": 1, "shared_scale": 1, "no_bias": 1, **fields})


@pytest.mark.quick
def test_the_first_step_is_whole_and_the_last_one_is_there() -> None:
    masks = np.zeros((2, 5), np.uint8)
    masks[1] = 0xF8
    assert forced(masks.copy(), 2).tolist() == [[3, 0, 0, 0, 1], [3, 0, 0, 0, 1]]
    assert kept_words(forced(masks.copy(), 2), 2).sum() == 6
    assert packed_rows(masks).reshape(2, -1).tolist() == [[0] * 8, [0xF8] * 5 + [0] * 3]


def test_blocks_begin_with_rows_that_wrap() -> None:
    memory = np.arange(LIST_ROWS * 8).reshape(LIST_ROWS, 8).astype(np.uint8)
    record = {"kernel_height": 3, "kernel_width": 3, "channel_steps": 1, "blocks": 2, "depth": 8}
    masks = step_masks(memory, {**record, "list_base": LIST_ROWS - 2})
    assert rows_of(STEPS) == 2
    expected = [[255, *range(241, 248), 248], [255, *range(1, 9)]]
    assert masks.tolist() == expected


def test_rows_of_a_load_with_padding() -> None:
    constants = np.arange(1, 30, dtype=np.uint8)
    record = {"offset": 2, "row_bytes": 7, "pad_left": 3, "pixels": 2, "pixel_step": 8}
    rows = loaded_rows(constants, {**record, "pad_value": -1})
    assert rows.tolist() == [[255] * 3 + [3, 4, 5, 6, 7], [8, 9] + [255] * 6]


RACES = {
    "read too early": ([step_list(0, 2), listed()], "reads rows 0 to 1 of the step list"),
    "apart": (
        [listed(list_base=254), step_list(0, 2, wait_load=0)],
        "",
    ),
    "overwritten while read": ([listed(list_base=7), step_list(8, 1)], "writes rows 8 to 8 of"),
}


@pytest.mark.parametrize("name", RACES)
def test_races(name: str) -> None:
    commands, message = RACES[name]
    if not message:
        check_dependencies(program(*commands))
        return
    with pytest.raises(HazardError, match=message):
        check_dependencies(program(*commands))
    waits = [{}, {"wait_load": 1} if commands[0].opcode == Opcode.LOAD else {"wait_compute": 1}]
    ordered = [Command(c.opcode, {**c.fields, **w}) for c, w in zip(commands, waits, strict=True)]
    check_dependencies(program(*ordered))


def test_only_the_words_that_there_are_belong_to_a_command() -> None:
    """Two of the first step and one of the last: three words, which another LOAD must not touch."""
    words = 2 + 1
    commands = [step_list(0, 2), listed(wait_load=1), weights(words * CONFIG.channels, 4)]
    check_dependencies(program(*commands))
    commands[2] = weights((words - 1) * CONFIG.channels, 4)
    with pytest.raises(HazardError, match="of the weight buffer"):
        check_dependencies(program(*commands))


@pytest.mark.parametrize(("masks", "code"), [(b"", None), (b"\xff" * 16, ErrorCode.BUFFER_BOUNDS)])
def test_weights_end_with_the_buffer(masks: bytes, code: ErrorCode | None) -> None:
    base = CONFIG.weight_words - 3
    commands = program(
        step_list(0, 2), listed(weight_base=base, wait_load=1, ifm_origin=0), masks=masks
    )
    simulator = FunctionalSimulator(CONFIG)
    if code is None:
        simulator.run(commands, {})
        return
    with pytest.raises(CommandError) as caught:
        simulator.run(commands, {})
    assert (caught.value.code, caught.value.command) == (code, 2)


ILLEGAL = {
    "one step": listed(kernel_height=1, kernel_width=1),
    "a row without a list": listed(listed=0, list_base=3),
    "depthwise": Command(Opcode.DEPTHWISE, listed().fields),
    "from the arena": step_list(0, 2, region=int(Region.ARENA)),
    "from lanes on": step_list(0, 2, lane_offset=1),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal(name: str) -> None:
    table = decode_table(program(step_list(0, 2), ILLEGAL[name]).commands)
    assert list(illegal_commands(CONFIG, table)) == [2]


@pytest.mark.parametrize("command", [step_list(0, 2), listed()])
def test_hardware_without_lists_refuses_them(command: Command) -> None:
    plain = replace(CONFIG, pruned_weights=False)
    table = decode_table(program(command).commands)
    assert list(illegal_commands(plain, table)) == [1]


def test_a_mask_has_eight_bits() -> None:
    with pytest.raises(ConfigError, match="pruned_weights needs accumulator_depth of at most 8"):
        replace(CONFIG, accumulator_depth=10)
