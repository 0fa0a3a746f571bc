"""First layers: few channels of the input, folded into the lanes by the LOADs that bring it."""

import numpy as np
import pytest

from npu.compiler.stream.folding import Axis, Fold
from npu.golden import run_golden
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from rtl.config import PRESETS, NpuConfig
from rtl.isa import Opcode
from sim.memory import MemoryConfig
from tests.npu.compiler.support import CONFIGS, check_model, compile_model
from tests.sim import configs
from tests.sim.cycle.compare import check_program
from tests.support.random_layers import random_conv2d, random_input
from tests.support.tflite_builder import ModelBuilder

RTL_CONFIGS = {"small": configs.SMALL, "npu64": PRESETS["npu64"]}


def first_layer(seed: int, size: int) -> bytes:
    """A convolution of 1 to 4 channels, with any kernel, stride, dilation and padding."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    kernel = int(rng.integers(1, 11)), int(rng.integers(1, 6))
    stride, dilation = (int(rng.integers(1, 4)), int(rng.integers(1, 4))), (1, 1)
    if seed % 4 == 3:
        stride, dilation = (1, 1), (int(rng.integers(1, 4)), 1)
    height = (kernel[0] - 1) * dilation[0] + int(rng.integers(1, size))
    width = kernel[1] + int(rng.integers(0, size))
    x = random_input(m, rng, (1, height, width, int(rng.integers(1, 5))))
    padding = ("SAME", "SAME", "VALID")[int(rng.integers(3))]
    outputs = int(rng.integers(1, 40))
    random_conv2d(m, rng, x, outputs, kernel, stride=stride, dilation=dilation, padding=padding)
    return m.build()


def offsets(
    shape: tuple[int, int, int], kernel: tuple[int, int], stride: int, preset: str
) -> set[int]:
    """The lane offsets of the merged LOADs of a convolution to 16 channels."""
    rng = np.random.default_rng(1)
    m = ModelBuilder()
    x = random_input(m, rng, (1, *shape))
    random_conv2d(m, rng, x, 16, kernel, stride=(stride, stride))
    _, _, programs = compile_model(m.build(), PRESETS[preset])
    commands = [command for program in programs for command in program.decode()]
    return {c["lane_offset"] for c in commands if c.opcode == Opcode.LOAD and c["merge"]}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("first", range(0, 60, 10), ids=lambda seed: f"seeds {seed}-{seed + 9}")
def test_first_layer_equals_tflm(first: int, config: NpuConfig) -> None:
    for seed in range(first, first + 10):
        assert not check_model(first_layer(seed, 24), config, seed).reasons


@pytest.mark.parametrize("config", RTL_CONFIGS.values(), ids=RTL_CONFIGS.keys())
@pytest.mark.parametrize("seed", range(100, 112))
def test_first_layer_on_rtl(seed: int, config: NpuConfig) -> None:
    """The bits of TFLM, and the cycles of the cycle model."""
    model = first_layer(seed, 14)
    graph = read_model_bytes(model, "test")
    rng = np.random.default_rng(seed)
    inputs = {
        i: rng.integers(-128, 128, graph.tensors[i].shape).astype(np.int8) for i in graph.inputs
    }
    golden = run_golden(model, graph, inputs)
    result = NetworkRunner(graph, config=config, backend="rtl").run(inputs)
    for index, value in result.outputs.items():
        np.testing.assert_array_equal(value, golden[index], f"tensor {index}")
    _, _, programs = compile_model(model, config)
    for program in programs:
        check_program(program, MemoryConfig(latency_cycles=20), f"seed {seed}")


def test_kernel_rows_lie_beside_each_other_where_that_pays() -> None:
    # two rows of four bytes fill a word
    assert offsets((49, 10, 1), (10, 4), 2, "npu64") == {0, 4}
    # three rows of nine bytes
    assert offsets((32, 32, 3), (3, 3), 1, "npu64") == {0, 1, 2}
    # loading would take longer than computing
    assert offsets((32, 32, 3), (3, 3), 1, "npu256") == set()


def test_a_stripe_loads_only_rows_inside_the_input() -> None:
    columns = Axis(count=1, step=1, pad=0, dilation=1, taps=1, tap_step=1, size=4)
    rows = Axis(count=5, step=2, pad=2, dilation=1, taps=1, tap_step=1, size=6)
    fold = Fold(columns, rows, 1)
    # row r of the folded map holds row 2 * r - 2 + part of an input of 10 rows
    assert [fold.inside(part, (0, 6), 10) for part in range(5)] == [
        (1, 6),
        (1, 6),
        (0, 5),
        (0, 5),
        (0, 4),
    ]
    assert fold.inside(4, (4, 6), 10) == (4, 4)


def test_parts_of_a_pixel_follow_each_other() -> None:
    columns = Axis(count=3, step=1, pad=1, dilation=1, taps=1, tap_step=1, size=32)
    rows = Axis(count=3, step=1, pad=1, dilation=1, taps=1, tap_step=1, size=32)
    # number, first word, words, offset into the first
    assert list(Fold(columns, rows, 3).parts(8)) == [(0, 0, 2, 0), (1, 1, 2, 1), (2, 2, 2, 2)]
