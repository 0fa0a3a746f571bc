"""What commands bring along, what LOADs bring to the buffers, and how outputs are cut."""

from typing import Any

import numpy as np
import pytest

from kernels.requantize import Rounding
from npu.compiler.lowering.dispatch import lower_operator
from npu.compiler.stream.pieces import cut, tapered
from npu.compiler.terms.tasks import GridTask
from npu.model.tflite_reader import read_model_bytes
from rtl.config import PRESETS, NpuConfig
from rtl.isa import Command, Destination, Opcode, Region
from sim.program import Program
from tests.npu.compiler.support import CONFIGS, check_model, compile_model
from tests.support.random_layers import (
    random_conv2d,
    random_fully_connected,
    random_input,
)
from tests.support.tflite_builder import ModelBuilder

CONFIG = PRESETS["npu256"]
GRID = (Opcode.CONV, Opcode.DEPTHWISE, Opcode.MAX_POOL)


def loads(program: Program, destination: Destination) -> list[Command]:
    commands = program.decode()
    return [c for c in commands if c.opcode == Opcode.LOAD and c["destination"] == destination]


def grid(program: Program) -> list[Command]:
    return [c for c in program.decode() if c.opcode in GRID]


def convolution(**attributes: Any) -> bytes:
    rng = np.random.default_rng(5)
    m = ModelBuilder()
    random_conv2d(m, rng, random_input(m, rng, (1, 6, 6, 9)), 21, (1, 1), **attributes)
    return m.build()


def test_channels_of_several_scales_need_all_parameters() -> None:
    (program,) = compile_model(convolution(), CONFIG)[2]
    assert sum(c["row_bytes"] for c in loads(program, Destination.PARAMETERS)) == 24 * 9
    assert not loads(program, Destination.BIASES)
    assert {c["shared_scale"] for c in grid(program)} == {0}


def test_channels_of_one_scale_need_biases_alone() -> None:
    (program,) = compile_model(convolution(per_channel=False), CONFIG)[2]
    assert not loads(program, Destination.PARAMETERS)
    assert sum(c["row_bytes"] for c in loads(program, Destination.BIASES)) == 24 * 4
    assert {(c["shared_scale"], c["no_bias"]) for c in grid(program)} == {(1, 0)}


def test_pooling_needs_no_parameters() -> None:
    rng = np.random.default_rng(6)
    m = ModelBuilder()
    x = m.average_pool2d(random_input(m, rng, (1, 12, 12, 9)), window=(2, 2), stride=(2, 2))
    m.max_pool2d(x, window=(2, 2), stride=(2, 2))
    (program,) = compile_model(m.build(), CONFIG)[2]
    assert not loads(program, Destination.PARAMETERS) + loads(program, Destination.BIASES)
    assert {(c["shared_scale"], c["no_bias"]) for c in grid(program)} == {(1, 1)}
    check_model(m.build(), CONFIG, 6)


@pytest.mark.parametrize("config", ["npu256", "tiny"])
def test_parameters_and_biases_share_their_buffer(config: str) -> None:
    rng = np.random.default_rng(7)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 20))
    for number in range(8):
        x = random_fully_connected(m, rng, x, 40, per_channel=number % 3 == 0)
    check_model(m.build(), CONFIGS[config], 7)
    (program,) = compile_model(m.build(), CONFIGS[config])[2]
    assert loads(program, Destination.PARAMETERS)
    assert loads(program, Destination.BIASES)


def test_constants_are_as_large_as_what_is_loaded() -> None:
    (program,) = compile_model(convolution(), CONFIG)[2]
    constants = [
        c for c in program.decode() if c.opcode == Opcode.LOAD and c["region"] == Region.CONSTANTS
    ]
    ends = [c["offset"] + c["row_bytes"] for c in constants]
    assert max(ends) == len(program.constants)
    assert all(c["offset"] % 8 == 0 for c in constants)


def fully_connected_task(outputs: int) -> GridTask:
    rng = np.random.default_rng(8)
    m = ModelBuilder()
    random_fully_connected(m, rng, random_input(m, rng, (1, 128)), outputs)
    graph = read_model_bytes(m.build(), "test")
    (task,) = lower_operator(graph, graph.operators[0], {}, {}, Rounding.DOUBLE).tasks
    assert isinstance(task, GridTask)
    return task


@pytest.mark.parametrize("outputs", [8, 10, 64, 100, 333, 640])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_tapered_pieces_cover_all_words_and_end_with_one_block(
    config: NpuConfig, outputs: int
) -> None:
    task = fully_connected_task(outputs)
    pieces = tapered(cut(task, 1, config), config)
    assert pieces[-1].blocks == 1
    ends = [piece.end(config) for piece in pieces]
    assert [piece.first for piece in pieces] == [0, *ends[:-1]]
    assert ends[-1] == task.ofm.planes(config.lanes)


def test_weights_that_arrive_last_are_few() -> None:
    rng = np.random.default_rng(9)
    m = ModelBuilder()
    x = random_fully_connected(m, rng, random_input(m, rng, (1, 128)), 128)
    random_fully_connected(m, rng, x, 640)
    (program,) = compile_model(m.build(), CONFIG)[2]
    sizes = [c["row_bytes"] for c in loads(program, Destination.WEIGHTS)]
    assert sizes[-1] == 128 * CONFIG.block_channels
    assert max(sizes) >= 4 * sizes[-1]
