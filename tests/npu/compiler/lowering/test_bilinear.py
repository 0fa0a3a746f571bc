"""RESIZE_BILINEAR as depthwise convolutions, against TFLM."""

from dataclasses import replace

import numpy as np
import pytest

from npu.compiler.rules.partition import partition
from npu.inference import compare_with_golden, infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from rtl.isa import Opcode
from tests.npu.compiler import movements as move
from tests.npu.compiler.support import CONFIGS, check_model, compile_model
from tests.support.random_layers import random_conv2d
from tests.support.tflite_builder import ModelBuilder

Shape = tuple[int, ...]
Size = tuple[int, int]
MODES: dict[str, dict[str, bool]] = {
    "half-pixel": {"halfPixelCenters": True},
    "plain": {},
    "corners": {"alignCorners": True},
}


def resized(shape: Shape, size: Size, mode: str, *, layers: bool = False) -> bytes:
    rng = np.random.default_rng(len(mode))
    m = ModelBuilder()
    x = m.input(shape, scale=0.05, zero_point=-9)
    if layers:
        x = random_conv2d(m, rng, x, shape[-1], (1, 1))
    y = move.resize_bilinear(m, x, size, **MODES[mode])
    if layers:
        random_conv2d(m, rng, y, 5, (3, 3))
    return m.build()


SIZES: dict[str, tuple[str, Shape, Size]] = {
    "half-pixel by 2": ("half-pixel", (1, 7, 9, 21), (14, 18)),
    "half-pixel by 4": ("half-pixel", (1, 5, 9, 8), (20, 36)),
    "half-pixel by 2 and 1": ("half-pixel", (1, 7, 9, 21), (14, 9)),
    "half-pixel by 4 and 8, where one is 7 bits": ("half-pixel", (1, 7, 9, 5), (7, 72)),
    "half-pixel to a half": ("half-pixel", (1, 14, 18, 5), (7, 9)),
    "half-pixel to a third and a fourth": ("half-pixel", (1, 9, 8, 5), (3, 2)),
    "half-pixel of two pixels": ("half-pixel", (1, 2, 1, 17), (4, 2)),
    "plain by 2": ("plain", (1, 7, 9, 21), (14, 18)),
    "plain by 4": ("plain", (1, 7, 5, 3), (28, 20)),
    "plain by 8": ("plain", (1, 4, 3, 3), (32, 24)),
    "plain by 4 and a third": ("plain", (1, 3, 6, 8), (12, 2)),
    "plain by 4 of 3": ("plain", (1, 9, 6, 8), (12, 8)),
    "corners by 2": ("corners", (1, 7, 9, 21), (13, 17)),
    "corners by 4": ("corners", (1, 3, 4, 8), (9, 13)),
    "corners by 8": ("corners", (1, 3, 2, 8), (17, 9)),
    "one pixel": ("half-pixel", (1, 1, 1, 30), (6, 5)),
    "one row": ("corners", (1, 1, 4, 9), (5, 7)),
    "as it is": ("half-pixel", (1, 6, 5, 9), (6, 5)),
    "batch": ("half-pixel", (3, 4, 5, 9), (8, 10)),
    "batch of pixels": ("plain", (2, 1, 1, 9), (3, 2)),
}


@pytest.mark.parametrize("config", ["npu256", "tiny", "narrow", "wide"])
@pytest.mark.parametrize(("mode", "shape", "size"), SIZES.values(), ids=SIZES)
def test_resizing_between_layers_equals_tflm(
    mode: str, shape: Shape, size: Size, config: str
) -> None:
    assert not check_model(resized(shape, size, mode, layers=True), CONFIGS[config], 5).reasons


@pytest.mark.parametrize("rounding", ["double", "half_up", "single"])
def test_halves_of_both_signs_are_rounded_as_in_tflm(rounding: str) -> None:
    hardware = replace(CONFIGS["npu256"], rounding=rounding)
    for mode in MODES:
        size = (63, 63) if mode == "corners" else (64, 64)
        graph = read_model_bytes(resized((1, 32, 32, 16), size, mode), "m")
        inputs = load_inputs(["random:2"], graph)
        result = infer(graph, inputs, config=hardware, backend="functional")
        assert all(layer.placed == "NPU" for layer in result.layers)
        found = compare_with_golden(graph, inputs, result, config=hardware, backend="functional")
        assert found.bit_exact


def test_an_output_takes_one_pass() -> None:
    """Phases of two rows and two columns, with a border on one side of each."""
    (program,) = compile_model(resized((1, 8, 8, 8), (16, 16), "half-pixel"), CONFIGS["npu256"])[2]
    windows = [c for c in program.decode() if c.opcode == Opcode.DEPTHWISE]
    assert sum(c["ofm_height"] * c["ofm_width"] for c in windows) == 16 * 16


REFUSED: dict[str, tuple[str, Shape, Size]] = {
    "half-pixel by 8": ("half-pixel", (1, 4, 4, 3), (32, 32)),
    "plain by 3": ("plain", (1, 4, 4, 3), (12, 12)),
    "corners by 2 of all": ("corners", (1, 4, 4, 3), (8, 8)),
    "plain by 16": ("plain", (1, 4, 4, 3), (64, 64)),
}


@pytest.mark.parametrize(("mode", "shape", "size"), REFUSED.values(), ids=REFUSED)
def test_other_fractions_are_refused(mode: str, shape: Shape, size: Size) -> None:
    graph = read_model_bytes(resized(shape, size, mode, layers=True), "m")
    assert partition(graph, CONFIGS["npu256"]).reasons == {
        1: "scales must be 2, 4, or 8 without half-pixel centers, or else repeat weights of 7 bits"
    }


def test_a_pixel_is_not_repeated_too_often() -> None:
    parts = partition(
        read_model_bytes(resized((1, 1, 1, 3), (60, 60), "plain", layers=True), "m"),
        CONFIGS["npu256"],
    )
    assert parts.reasons == {
        1: "pixels that are only repeated must not take more than 2048 commands"
    }
