"""What is fused, spilled and tiled; that the bits stay right is checked with it."""

import dataclasses

import numpy as np
import pytest

from npu.compiler.compile import CompilerOptions, compile_segment
from npu.compiler.lowering.segment import lower_segment
from npu.compiler.planning.plan import SegmentPlan, plan_segment
from npu.compiler.planning.stripes import Residence
from npu.compiler.rules.partition import partition
from npu.model.tflite_reader import read_model_bytes
from rtl.config import PRESETS, NpuConfig
from rtl.isa import Command, Destination, Opcode, Region
from tests.npu.compiler.support import check_model, compile_model
from tests.support.random_layers import (
    random_add,
    random_conv2d,
    random_depthwise_conv2d,
    random_fully_connected,
    random_input,
)
from tests.support.tflite_builder import ModelBuilder

SMALL = dataclasses.replace(PRESETS["npu64"], scratchpad_kib=16)
LARGE = dataclasses.replace(SMALL, scratchpad_kib=256)


def inverted_residual(seed: int = 4) -> bytes:
    """Expand, depthwise, project, add: the maps in between are six times as large."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 24, 16, 8))
    y = random_conv2d(m, rng, x, 48, (1, 1), activation="RELU6")
    y = random_depthwise_conv2d(m, rng, y, (3, 3), activation="RELU6")
    y = random_conv2d(m, rng, y, 8, (1, 1))
    random_add(m, rng, x, y)
    return m.build()


def plan_of(model: bytes, config: NpuConfig) -> SegmentPlan:
    graph = read_model_bytes(model, "test")
    (segment,) = partition(graph, config).segments
    lowered = lower_segment(graph, segment, config)
    return plan_segment(
        lowered.operators, frozenset(segment.inputs), frozenset(segment.outputs), config
    )


def test_everything_stays_on_chip_when_it_fits() -> None:
    plan = plan_of(inverted_residual(), LARGE)
    assert not plan.spilled
    assert [len(g.members) for g in plan.groups] == [1, 1, 1, 1]
    program = compile_model(inverted_residual(), LARGE)[2][0]
    stores = [c for c in program.decode() if c.opcode == Opcode.STORE]
    assert len(stores) == 1


def test_large_maps_between_operators_become_local() -> None:
    plan = plan_of(inverted_residual(), SMALL)
    fused = [o for g in plan.groups for m in g.members for o in m.operands().values()]
    assert any(o.residence == Residence.LOCAL for o in fused)
    unfused = 2 * 24 * 16 * 48 // SMALL.bus_bytes
    assert plan.cycles < plan_of(inverted_residual(), LARGE).cycles + unfused
    check_model(inverted_residual(), SMALL)
    check_model(inverted_residual(), SMALL, options=CompilerOptions(keep_intermediates=True))


def test_spilled_map_is_stored_and_loaded_in_stripes() -> None:
    rng = np.random.default_rng(6)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 16, 16, 16))
    y = random_conv2d(m, rng, x, 64, (3, 3))
    # both branches read the large map, so it cannot be local to one group
    a = random_conv2d(m, rng, y, 16, (3, 3))
    b = random_depthwise_conv2d(m, rng, a, (3, 3))
    c = random_conv2d(m, rng, y, 16, (1, 1))
    random_add(m, rng, b, c)
    model = m.build()
    assert plan_of(model, SMALL).spilled
    check_model(model, SMALL)


def test_halo_rows_are_loaded_again_when_the_input_is_striped() -> None:
    rng = np.random.default_rng(7)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 64, 32, 16))
    random_conv2d(m, rng, x, 8, (5, 5), stride=(2, 2))
    model = m.build()
    (group,) = plan_of(model, SMALL).groups
    assert group.members[0].inputs[0].residence == Residence.STRIPES
    program = compile_model(model, SMALL)[2][0]
    loaded = sum(c["row_bytes"] * c["rows"] for c in program.decode() if loads_activations(c))
    assert loaded > 64 * 32 * 16
    check_model(model, SMALL)


def loads_activations(command: Command) -> bool:
    return command.opcode == Opcode.LOAD and command["region"] == Region.ARENA


def test_input_is_loaded_in_parts_so_that_computing_starts_early() -> None:
    rng = np.random.default_rng(8)
    m = ModelBuilder()
    random_conv2d(m, rng, random_input(m, rng, (1, 48, 48, 8)), 8)
    commands = compile_model(m.build(), PRESETS["npu256"])[2][0].decode()
    loads = [i for i, c in enumerate(commands) if loads_activations(c)]
    first_compute = next(i for i, c in enumerate(commands) if c.opcode == Opcode.CONV)
    assert len(loads) > 2
    assert loads[0] < first_compute < loads[-1]
    total = sum(commands[i]["row_bytes"] for i in loads)
    assert total == 48 * 48 * 8, "no row is loaded twice when the whole map fits"


def test_weights_larger_than_the_buffer_stream_through_it() -> None:
    rng = np.random.default_rng(9)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 200))
    random_fully_connected(m, rng, random_fully_connected(m, rng, x, 300), 100)
    config = dataclasses.replace(PRESETS["npu256"], weight_buffer_kib=8, parameter_channels=64)
    model = m.build()
    program = compile_model(model, config)[2][0]
    loads = [
        c
        for c in program.decode()
        if c.opcode == Opcode.LOAD and c["destination"] == Destination.WEIGHTS
    ]
    assert sum(c["row_bytes"] for c in loads) > 10 * 8 * 1024
    check_model(model, config)


@pytest.mark.parametrize("keep", [False, True])
def test_compiling_is_deterministic(keep: bool) -> None:
    graph = read_model_bytes(inverted_residual(), "test")
    (segment,) = partition(graph, SMALL).segments
    options = CompilerOptions(keep_intermediates=keep)
    first, second = (compile_segment(graph, segment, SMALL, options) for _ in range(2))
    np.testing.assert_array_equal(first.commands, second.commands)
    np.testing.assert_array_equal(first.constants, second.constants)
    assert first.layers == second.layers
    assert first.tensors == second.tensors


def test_every_compute_command_belongs_to_one_layer() -> None:
    _, _, (program,) = compile_model(inverted_residual(), SMALL)
    computing = (Opcode.CONV, Opcode.DEPTHWISE, Opcode.MAX_POOL, Opcode.ELEMENTWISE)
    expected = [i for i, c in enumerate(program.decode()) if c.opcode in computing]
    owned = sorted(i for layer in program.layers for i in layer.compute_commands)
    assert owned == expected
    assert [layer.kind for layer in program.layers] == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_2D",
        "ADD",
    ]


def test_kept_intermediates_are_bound() -> None:
    graph, _, (program,) = compile_model(
        inverted_residual(), SMALL, CompilerOptions(keep_intermediates=True)
    )
    bound = {binding.tensor_index for binding in program.tensors}
    assert bound == {*graph.inputs, *graph.intermediates(), *graph.outputs}


def two_residuals(
    side: int = 12, channels: int = 24, expanded: tuple[int, int] = (48, 96)
) -> bytes:
    """Two inverted residuals one after the other."""
    rng = np.random.default_rng(5)
    m = ModelBuilder()
    x = random_input(m, rng, (1, side, side, channels))
    for inner in expanded:
        y = random_conv2d(m, rng, x, inner, (1, 1), bias=False, per_channel=False)
        y = random_depthwise_conv2d(m, rng, y, bias=False, per_channel=False)
        y = random_conv2d(m, rng, y, channels, (1, 1), bias=False, per_channel=False)
        x = random_add(m, rng, x, y)
    return m.build()


@pytest.mark.parametrize(
    ("side", "channels", "expanded", "kib"),
    [(12, 24, (48, 96), 8), (8, 32, (96, 96), 6), (10, 16, (96, 48), 12), (14, 24, (64, 64), 10)],
)
def test_memory_that_is_short_of_one_piece_spills_what_lies_between(
    side: int, channels: int, expanded: tuple[int, int], kib: int
) -> None:
    """Each operator fits, and there are words enough, but not next to each other."""
    model = two_residuals(side, channels, expanded)
    config = dataclasses.replace(PRESETS["npu256"], scratchpad_kib=kib)
    assert not check_model(model, config).reasons


def test_parameters_of_a_block_of_outputs_may_exceed_the_buffer() -> None:
    """Then blocks are smaller: the buffer holds the parameters of one word of outputs."""
    config = PRESETS["npu256"]
    config = dataclasses.replace(config, parameter_channels=config.lanes)
    assert not check_model(inverted_residual(), config).reasons
