"""The race checker finds missing waits and accepts sufficient ones."""

import dataclasses
import re

import numpy as np
import pytest

from npu.verify.random_programs import KINDS, random_program
from rtl.config import PRESETS
from rtl.isa import COMMANDS, Command, Destination, Engine, Function, Opcode, Region, encode_all
from sim.errors import HazardError, ProgramError
from sim.hazards import check_dependencies
from sim.program import Program

CONFIG = PRESETS["npu64"]
C = CONFIG.lanes
RANDOM_CONFIG = dataclasses.replace(CONFIG, scratchpad_kib=8)


def load(base: int, words: int = 4, offset: int = 0, **fields: int) -> Command:
    """LOAD of a dense vector, from the arena into the scratchpad by default."""
    defaults = {
        "offset": offset,
        "region": int(Region.ARENA),
        "destination": int(Destination.SCRATCHPAD),
        "rows": 1,
        "pad_value": 0,
        "row_bytes": words * C,
        "row_stride": 0,
        "pad_left": 0,
        "fold": 0,
        "merge": 0,
        "lane_offset": 0,
        "pixels": words,
        "pixel_bytes": C,
        "pixel_step": C,
        "pixel_words": 1,
        "base": base,
        "row_pitch": 0,
        "plane_pitch": 0,
    }
    return Command(Opcode.LOAD, {**defaults, **fields})


def store(base: int, words: int = 4, offset: int = 1 << 15, **fields: int) -> Command:
    defaults = {
        "offset": offset,
        "region": int(Region.ARENA),
        "rows": 1,
        "pixel_words": 1,
        "row_stride": 0,
        "pixels": words,
        "pixel_bytes": C,
        "base": base,
        "row_pitch": 0,
        "plane_pitch": 0,
    }
    return Command(Opcode.STORE, {**defaults, **fields})


def add(first: int, second: int, ofm: int, words: int = 4, **changes: int) -> Command:
    """ELEMENTWISE, of function ADD by default."""
    fields = {
        name: 0 for name in COMMANDS[Opcode.ELEMENTWISE].fields if not name.startswith("wait")
    }
    fields |= {"ifm_base": first, "ifm2_base": second, "ofm_base": ofm, "words": words}
    return Command(Opcode.ELEMENTWISE, {**fields, **changes})


def conv(ifm: int, ofm: int, **fields: int) -> Command:
    """A 3x3 convolution of 4x4 pixels, padded by one on all sides, one word in and out."""
    defaults = {name: 0 for name in COMMANDS[Opcode.CONV].fields if not name.startswith("wait")}
    defaults |= {
        "ifm_origin": (ifm - 5) % 2**20,
        "ifm_row_step": 4,
        "ifm_tap_row_step": 4,
        "group_step": CONFIG.pixels,
        "tap_step": 1,
        "window_stride": 1,
        "group_pixels": CONFIG.pixels,
        "ifm_height": 4,
        "ifm_width": 4,
        "ofm_height": 4,
        "ofm_width": 4,
        "kernel_height": 3,
        "kernel_width": 3,
        "channel_steps": 1,
        "blocks": 1,
        "depth": CONFIG.groups_per_word,
        "stride_y": 1,
        "dilation_y": 1,
        "pad_top": 1,
        "pad_left": 1,
        "ofm_base": ofm,
        "ofm_row_pitch": 4,
    }
    return Command(Opcode.CONV, {**defaults, **fields})


def program(*commands: Command) -> Program:
    stream = [
        Command(Opcode.CONFIG, {"config_id": CONFIG.config_id}),
        *commands,
        Command(Opcode.END, {}),
    ]
    constants = np.zeros(4096, np.uint8)
    return Program(CONFIG, encode_all(stream), constants, 1 << 16, (), ())


def weights(base: int, units: int, **waits: int) -> Command:
    fields = {"region": int(Region.CONSTANTS), "destination": int(Destination.WEIGHTS)}
    return load(base, units, **fields, **waits)


def biases(block: int, blocks: int, **waits: int) -> Command:
    fields = {"region": int(Region.CONSTANTS), "destination": int(Destination.BIASES)}
    return load(block, 4 * blocks, **fields, **waits)


def table(row: int, rows: int, **waits: int) -> Command:
    fields = {"region": int(Region.CONSTANTS), "destination": int(Destination.TABLE)}
    return load(row, rows, **fields, **waits)


def parameters(block: int, blocks: int, **waits: int) -> Command:
    fields = {"region": int(Region.CONSTANTS), "destination": int(Destination.PARAMETERS)}
    return load(block, 9 * blocks, **fields, **waits)


ROWS = CONFIG.table_rows
WEIGHT_UNITS = 9 * CONFIG.groups_per_word * CONFIG.channels

RACES = {
    "load-compute RAW": (
        [load(10), add(12, 100, 200)],
        (
            1,
            2,
            "(ELEMENTWISE) reads words 12 to 13 of the scratchpad, which command 1 (LOAD)",
        ),
    ),
    "compute-load WAR": (
        [add(10, 100, 200), load(8)],
        (1, 2, "command 2 (LOAD) writes words 10 to 11 of the scratchpad"),
    ),
    "compute-load WAW": ([add(10, 100, 200), load(203)], (1, 2, "writes words 203 to 203")),
    "compute-store RAW": ([add(10, 100, 200), store(200)], (1, 2, "reads words 200 to 203")),
    "store-compute WAR": ([store(200), add(0, 50, 203)], (1, 2, "writes words 203 to 203")),
    "load-store RAW": ([load(10), store(13)], (1, 2, "reads words 13 to 13")),
    "store-load through memory": (
        [store(0, offset=96), load(50, words=2, offset=100)],
        (1, 2, "command 2 (LOAD) reads bytes 100 to 115 of the ARENA"),
    ),
    "load-store WAR in memory": (
        [load(0, offset=96), store(50, offset=120)],
        (1, 2, "command 2 (STORE) writes bytes 120 to 127 of the ARENA"),
    ),
    "conv reads while loaded": (
        [load(0, words=16), conv(0, 100)],
        (1, 2, "reads words 0 to 3 of the scratchpad"),
    ),
    "weights RAW": (
        [weights(0, 8), conv(0, 100)],
        (1, 2, "reads units 0 to 7 of the weight buffer"),
    ),
    "weights WAR": (
        [conv(0, 100), weights(WEIGHT_UNITS - 1, 8)],
        (1, 2, f"writes units {WEIGHT_UNITS - 1} to {WEIGHT_UNITS - 1} of the weight buffer"),
    ),
    "parameters RAW": (
        [parameters(0, 2), conv(0, 100, parameter_base=1)],
        (1, 2, "reads blocks 1 to 1 of the parameter buffer"),
    ),
    "biases RAW": (
        [biases(1, 2), conv(0, 100, parameter_base=2)],
        (1, 2, "reads blocks 2 to 2 of the parameter buffer"),
    ),
    "biases WAR": (
        [conv(0, 100, parameter_base=2, shared_scale=1), biases(2, 1)],
        (1, 2, "writes blocks 2 to 2 of the parameter buffer"),
    ),
    "weights from rows and planes RAW": (
        [weights(40, 2, rows=2, row_stride=64, row_pitch=-20 % 2**20), conv(0, 100)],
        (1, 2, "reads units 20 to 21 of the weight buffer"),
    ),
    "table RAW": (
        [table(0, ROWS), add(0, 10, 20, function=Function.TABLE)],
        (1, 2, f"reads units 0 to {ROWS - 1} of the table, which command 1 (LOAD) writes"),
    ),
    "table WAR": (
        [add(0, 10, 20, function=Function.TABLE), table(7, 2)],
        (1, 2, "command 2 (LOAD) writes units 7 to 8 of the table"),
    ),
    "repeated operand RAW": (
        [load(50, words=1), add(0, 50, 100, ifm2_repeat=1)],
        (1, 2, "reads words 50 to 50"),
    ),
    "over its repeated input": (
        [add(0, 50, 50, ifm2_repeat=1)],
        (1, 1, "overlap its own input at 50"),
    ),
    "the second of two": (
        [load(0), load(10), add(0, 10, 20, wait_load=1)],
        (2, 3, "reads words 10 to 13"),
    ),
    "waits for the wrong engine": (
        [load(0), add(50, 60, 70), store(0, wait_compute=1)],
        (1, 3, "reads words 0 to 3"),
    ),
    "conv over its input": ([conv(0, 15)], (1, 1, "words 15 to 15 of the scratchpad")),
    "add over its input, shifted": ([add(0, 50, 2)], (1, 1, "overlap its own input at 0")),
    "forward wait": ([add(0, 50, 90, wait_load=1), load(20)], (1, 1, "0 such commands")),
    "row pitch": (
        [store(0, 2, rows=3, row_pitch=10, row_stride=32), load(18, 8, offset=4096)],
        (1, 2, "writes words 20 to 21 of the scratchpad, which command 1 (STORE) reads"),
    ),
}

ORDERED = {
    "waits": [load(10), add(12, 100, 200, wait_load=1), store(200, wait_compute=1)],
    "disjoint": [load(10), add(14, 100, 200), store(204), load(208)],
    "reads share": [load(0), store(50, offset=64), store(50, offset=128), load(60)],
    "transitive": [load(10), add(10, 20, 200, wait_load=1), store(10, 4, 64, wait_compute=1)],
    "transitive by engine order": [
        load(10),
        add(10, 20, 200, wait_load=1),
        add(30, 40, 220),
        store(10, 4, 64, wait_compute=2),
    ],
    "another function needs no table": [table(0, ROWS), add(0, 10, 20, function=Function.MUL)],
    "tables wait": [
        table(0, ROWS),
        add(0, 10, 20, function=Function.TABLE, wait_load=1),
        table(0, ROWS, wait_compute=1),
    ],
    "parameters of its own": [
        parameters(0, 4),
        conv(0, 100, shared_scale=1, no_bias=1),
        biases(0, 4),
    ],
    "between a repeated word and its tensor": [load(51, words=3), add(0, 50, 100, ifm2_repeat=1)],
    "one repeated word in place": [add(0, 50, 50, words=1, ifm2_repeat=1)],
    "add in place": [add(0, 50, 0), add(50, 0, 0)],
    "between rows": [store(0, 2, rows=3, row_pitch=10, row_stride=32), load(2, 8, offset=4096)],
    "padding is not read": [load(0, words=1, offset=8), conv(1, 100)],
}


@pytest.mark.parametrize("name", RACES)
def test_finds_race(name: str) -> None:
    commands, (first, second, message) = RACES[name]
    with pytest.raises(HazardError, match=re.escape(message)) as caught:
        check_dependencies(program(*commands))
    assert (caught.value.first, caught.value.second) == (first, second)


@pytest.mark.parametrize("name", ORDERED)
def test_accepts(name: str) -> None:
    check_dependencies(program(*ORDERED[name]))


def test_a_wait_must_not_be_older_than_the_counters_tell() -> None:
    """Counts are modulo 2**16: `no wait` written as 0 means a command to come after 2**15."""
    loads = [load(10, words=1)] * (1 << 15)
    with pytest.raises(HazardError, match="wait_load = 0 where 32768 such commands precede it"):
        check_dependencies(program(*loads, add(20, 30, 40)))


@pytest.mark.parametrize("seed", range(6))
def test_random_programs(seed: int) -> None:
    """Accepted as they are; without the waits of any one command that has some, refused."""
    sound, _ = random_program(RANDOM_CONFIG, seed, (*KINDS, *KINDS), size=3)
    check_dependencies(sound)
    commands = sound.decode()
    for index, command in enumerate(commands):
        if COMMANDS[command.opcode].engine not in (Engine.COMPUTE, Engine.STORE):
            continue
        fields = {n: v for n, v in command.fields.items() if not n.startswith("wait")}
        changed = [*commands[:index], Command(command.opcode, fields), *commands[index + 1 :]]
        with pytest.raises(HazardError) as caught:
            check_dependencies(dataclasses.replace(sound, commands=encode_all(changed)))
        assert caught.value.second >= index


def test_refuses_malformed_streams() -> None:
    with pytest.raises(ProgramError, match="TRUNCATED_STREAM at command 1"):
        check_dependencies(dataclasses.replace(program(), commands=program().commands[:2]))
    with pytest.raises(ProgramError, match="ILLEGAL_FIELD at command 1: LOAD: rows must not be 0"):
        check_dependencies(program(load(0, rows=0)))
    with pytest.raises(ProgramError, match="region 5"):
        check_dependencies(program(load(0, region=5)))
