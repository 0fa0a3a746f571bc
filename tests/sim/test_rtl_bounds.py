"""Addresses beyond a memory's capacity on the RTL: nothing on chip changes.

What a memory holds afterwards is read back by programs that use it.
"""

import dataclasses

import numpy as np
import pytest

from rtl.isa import Command, Destination, Opcode, encode_all
from rtl.registers import ErrorCode
from sim.memory import MemoryConfig
from tests.sim.board import written_bytes
from tests.sim.scene import CONFIG, TIMINGS, small_program, staged


@pytest.fixture(params=TIMINGS)
def timing(request: pytest.FixtureRequest) -> MemoryConfig:
    return TIMINGS[request.param]


def test_scratchpad_is_untouched_beyond_its_bounds(timing: MemoryConfig) -> None:
    """An address beyond the capacity is not taken modulo the capacity."""
    words, lanes = CONFIG.scratchpad_words, CONFIG.lanes
    pattern = np.random.default_rng(1).bytes(words * lanes)
    with staged((Opcode.LOAD,), timing) as scene:
        config, load, store, end = scene.commands
        dense = {"pixels": words, "pixel_bytes": lanes, "pixel_words": 1, "rows": 1, "base": 0,
                 "row_pitch": 0, "plane_pitch": 0, "offset": 0}  # fmt: skip
        whole = {"pixel_step": lanes, "row_bytes": words * lanes, "pad_left": 0}
        whole |= dict.fromkeys(("fold", "merge", "lane_offset"), 0)
        fill = Command(Opcode.LOAD, {**load.fields, **dense, **whole})
        dump = Command(Opcode.STORE, {**store.fields, **dense, "wait_load": 0})
        ifm = {"ifm_origin": 0, "ifm_plane_pitch": 0, "ifm_row_step": 0, "ifm_tap_row_step": 0,
               "group_step": 1, "tap_step": 1, "window_stride": 1, "ifm_zero_point": 0,
               "group_pixels": 1, "ifm_height": 1, "ifm_width": 16, "kernel_height": 1,
               "kernel_width": 1, "channel_steps": 1, "blocks": 1, "stride_y": 1,
               "depth": CONFIG.groups_per_word, "dilation_y": 1, "pad_top": 0, "pad_left": 0,
               "weight_base": 0, "parameter_base": 0, "ofm_plane_pitch": 0, "ofm_row_pitch": 0,
               "ofm_zero_point": 0, "activation_min": -128, "activation_max": 127,
               "ofm_multiplier": 0, "ofm_shift": 0, "shared_scale": 0, "no_bias": 0,
               "ofm_height": 1, "ofm_width": 16}  # fmt: skip
        add = small_program((Opcode.ELEMENTWISE,), 5)[0].decode()[-3]
        assert add.opcode == Opcode.ELEMENTWISE
        far = {"wait_load": 0, "wait_compute": 0, "wait_store": 0}
        short = {"pixels": 16, "row_bytes": 16 * lanes}
        faulty = [
            Command(opcode, {**fields, **far, name: base})
            for base in (words, words + 5, 2 * words, 2**20 - 16)
            for opcode, name, fields in (
                (Opcode.LOAD, "base", {**fill.fields, **short}),
                (Opcode.CONV, "ofm_base", ifm),
                (Opcode.MAX_POOL, "ofm_base", ifm),
                (Opcode.ELEMENTWISE, "ofm_base", {**add.fields, "words": 16}),
                (Opcode.CONV, "ifm_origin", {**ifm, "ofm_base": 0}),
                (Opcode.ELEMENTWISE, "ifm2_base", {**add.fields, "ofm_base": 0, "words": 16}),
            )
        ]
        board = scene.board
        arena = board.put(pattern)
        out = board.put(bytes(words * lanes))
        for command in faulty:
            message = f"{command.opcode.name} {command.fields}"
            for commands, base, code in (
                ([fill], arena, ErrorCode.NONE),
                ([command], arena, ErrorCode.SCRATCHPAD_BOUNDS),
                ([dump], out, ErrorCode.NONE),
            ):
                stream = encode_all([config, *commands, end]).view(np.uint8)
                board.view(scene.placed.commands, stream.nbytes)[:] = stream
                placed = dataclasses.replace(
                    scene.placed, command_bytes=stream.nbytes, arena=base,
                    arena_bytes=words * lanes,
                )  # fmt: skip
                outcome = board.run(placed)
                assert (outcome.code.name, outcome.command) == (code.name, code != 0), message
            np.testing.assert_array_equal(
                board.view(out, words * lanes), np.frombuffer(pattern, np.uint8), err_msg=message
            )


def test_buffers_are_untouched_beyond_their_bounds(timing: MemoryConfig) -> None:
    """A faulty LOAD of weights or parameters leaves what earlier ones loaded."""
    program, inputs = small_program((Opcode.CONV,), 5)
    commands = program.decode()
    units = {1: CONFIG.weight_words * CONFIG.channels, 2: CONFIG.parameter_blocks}
    loads = {
        c["destination"]: index
        for index, c in enumerate(commands)
        if c.opcode == Opcode.LOAD and c["destination"] != 0
    }
    assert len(loads) == 2
    for destination, index in loads.items():
        for base in (units[destination], 2 * units[destination], 2**20 - 1):
            with staged((Opcode.CONV,), timing) as scene:
                scene.board.run(scene.placed)
                np.testing.assert_array_equal(scene.board.arena(scene.placed), scene.golden)
                scene.change(index, base=base)
                outcome = scene.run()
                scene.check(outcome, ErrorCode.BUFFER_BOUNDS, index, f"base {base}")
                # once more, with both loaded elsewhere: what the first run loaded is used
                for other, position in loads.items():
                    scene.change(position, base=units[other] // 2)
                scene.board.arena(scene.placed)[len(inputs) :] ^= 0xFF
                outcome = scene.run()
                assert outcome.code == ErrorCode.NONE
                written = written_bytes(program)
                np.testing.assert_array_equal(
                    scene.board.arena(scene.placed)[written], scene.golden[written]
                )


@pytest.mark.parametrize(
    ("destination", "harmless", "kind", "units"),
    [
        (Destination.TABLE, Destination.WEIGHTS, Opcode.ELEMENTWISE, CONFIG.table_rows),
        (Destination.BIASES, Destination.TABLE, Opcode.CONV, CONFIG.parameter_blocks),
    ],
)
def test_table_and_biases_are_untouched_beyond_their_bounds(
    destination: Destination,
    harmless: Destination,
    kind: Opcode,
    units: int,
    timing: MemoryConfig,
) -> None:
    """After a faulty LOAD a program without that LOAD uses what the one before has loaded."""

    def loads(seed: int) -> list[int]:
        commands = small_program((kind,), seed)[0].decode()
        return [i for i, c in enumerate(commands) if c["destination"] == destination]

    seed = next(seed for seed in range(100) if loads(seed))
    for base in (units, 2 * units, 2**20 - 1):
        with staged((kind,), timing, seed) as scene:
            scene.board.run(scene.placed)
            np.testing.assert_array_equal(scene.board.arena(scene.placed), scene.golden)
            first = loads(seed)[0]
            scene.change(first, base=base)
            scene.check(scene.run(), ErrorCode.BUFFER_BOUNDS, first, f"base {base}")
            for index in loads(seed):
                scene.change(index, destination=harmless, base=0)
            scene.board.arena(scene.placed)[len(scene.inputs) :] ^= 0xFF
            assert scene.run().code == ErrorCode.NONE
            written = written_bytes(scene.program)
            np.testing.assert_array_equal(
                scene.board.arena(scene.placed)[written], scene.golden[written]
            )
