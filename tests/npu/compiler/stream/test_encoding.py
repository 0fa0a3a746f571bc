"""Which encodings the compiler finds, what they save, and that they change nothing."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from npu.compiler.stream.encoding import LEAST_SAVED
from rtl.config import DECODED_FORMATS, PRESETS, NpuConfig
from rtl.isa import Command, Destination, Opcode, Tables
from tests.npu.compiler.support import check_model, compile_model
from tests.sim.configs import switched
from tests.support.compressed_models import Change, Weights, changed, clustered, pruned
from tests.support.random_layers import (
    random_conv2d,
    random_depthwise_conv2d,
    random_fully_connected,
    random_input,
)
from tests.support.tflite_builder import ModelBuilder

PLAIN, DECODING = PRESETS["npu256"], PRESETS["npu256c"]


def network() -> bytes:
    """A convolution whose channels are no multiple of anything, a depthwise one, and a product."""
    rng = np.random.default_rng(5)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 5, 7, 16)), 45, (3, 3))
    x = random_depthwise_conv2d(m, rng, x, (3, 3))
    x = random_conv2d(m, rng, x, 24, (1, 1))
    random_fully_connected(m, rng, m.reshape(x, (1, -1)), 30)
    return m.build()


def weight_loads(model: bytes, config: NpuConfig) -> list[Command]:
    """LOADs for the weight buffer."""
    return [
        command
        for program in compile_model(model, config)[2]
        for command in program.decode()
        if command.opcode == Opcode.LOAD
        and command["destination"] in (Destination.WEIGHTS, Destination.ENCODED)
    ]


def loaded_bytes(loads: list[Command]) -> int:
    return sum(load["rows"] * load["row_bytes"] for load in loads)


def int4(weights: Weights) -> Weights:
    """Weights of 4 bits."""
    return (weights >> 4).astype(np.int8)


def both(weights: Weights, change: Change, share: float) -> Weights:
    """Weights of which a share is zero and the others are changed, but to zero."""
    kept = pruned(weights, share)
    moved = change(weights)
    return np.where(kept != 0, np.where(moved == 0, 1, moved), 0).astype(np.int8)


CASES: dict[str, tuple[Change, set[tuple[int, Tables, int]], float]] = {
    "16 a tensor": (clustered, {(4, Tables.SHARED, 0)}, 0.6),
    "6 a tensor": (partial(clustered, clusters=6), {(3, Tables.SHARED, 0)}, 0.5),
    "3 a tensor": (partial(clustered, clusters=3), {(2, Tables.SHARED, 0)}, 0.4),
    "2 a tensor": (partial(clustered, clusters=2), {(1, Tables.SHARED, 0)}, 0.3),
    "16 a channel": (partial(clustered, per_channel=True), {(4, Tables.CHANNELS, 0)}, 0.9),
    "4 a channel": (
        partial(clustered, clusters=4, per_channel=True),
        {(2, Tables.CHANNELS, 0)},
        0.6,
    ),
    "int4": (int4, {(4, Tables.NONE, 0)}, 0.6),
    "80 % zero": (partial(pruned, share=0.8), {(8, Tables.NONE, 1)}, 0.45),
    "80 % zero, 15 a tensor": (
        partial(both, change=partial(clustered, clusters=15), share=0.8),
        {(4, Tables.SHARED, 1)},
        0.35,
    ),
    "80 % zero, int4": (partial(both, change=int4, share=0.8), {(4, Tables.NONE, 1)}, 0.35),
}


@pytest.mark.parametrize("name", CASES)
def test_the_smallest_encoding_is_found(name: str) -> None:
    change, forms, share = CASES[name]
    model = changed(network(), change)
    loads = weight_loads(model, DECODING)
    found = {(c["code_bits"], c["tables"], c["masked"]) for c in loads}
    assert forms & found, found
    assert loaded_bytes(loads) <= share * loaded_bytes(weight_loads(model, PLAIN))
    parts = check_model(model, DECODING)
    assert not parts.reasons


@pytest.mark.parametrize("formats", [*((name,) for name in DECODED_FORMATS), DECODED_FORMATS[1:]])
def test_only_what_the_hardware_decodes(formats: tuple[str, ...]) -> None:
    config = replace(PLAIN, **switched(formats))
    model = changed(network(), partial(both, change=int4, share=0.5))
    assert loaded_bytes(weight_loads(model, config)) < 0.9 * loaded_bytes(
        weight_loads(model, PLAIN)
    )
    check_model(model, config)


def _same(weights: Weights) -> Weights:
    return weights


@pytest.mark.parametrize(("config", "change"), [(PLAIN, clustered), (DECODING, _same)])
def test_weights_stay_as_they_are(config: NpuConfig, change: Callable[[Weights], Weights]) -> None:
    """Where there is no decoder, and where nothing is saved."""
    model = changed(network(), change)
    loads = weight_loads(model, config)
    dense = loaded_bytes(weight_loads(model, PLAIN))
    encoded = [c for c in loads if c["destination"] == Destination.ENCODED]
    assert not encoded or config is DECODING
    assert loaded_bytes(loads) <= dense - LEAST_SAVED * len(encoded)
