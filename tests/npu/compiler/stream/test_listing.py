"""When the compiler leaves out weight words that are zero, and that it changes nothing."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rtl.config import PRESETS, NpuConfig
from rtl.isa import Command, Destination, Opcode
from sim.cycle import simulate
from tests.npu.compiler.support import check_model, compile_model
from tests.support.compressed_models import changed, clustered, without_words
from tests.support.random_layers import random_conv2d, random_fully_connected, random_input
from tests.support.tflite_builder import ModelBuilder

PRUNING = PRESETS["npu256c"]
ONLY_LISTS = replace(PRESETS["npu256"], pruned_weights=True)
ZERO = partial(without_words, channels=PRUNING.channels, lanes=PRUNING.lanes, seed=7)


def network(outputs: int = 24) -> bytes:
    """Convolutions with several blocks and with channels that fill no word, and a product."""
    rng = np.random.default_rng(3)
    m = ModelBuilder()
    x = random_conv2d(m, rng, random_input(m, rng, (1, 8, 8, 24)), 45, (3, 3))
    x = random_conv2d(m, rng, x, 40, (1, 1))
    random_fully_connected(m, rng, m.reshape(x, (1, -1)), outputs)
    return m.build()


def without(model: bytes, share: float) -> bytes:
    return changed(model, partial(ZERO, share=share))


def commands(model: bytes, config: NpuConfig) -> list[Command]:
    return [c for program in compile_model(model, config)[2] for c in program.decode()]


def cycles(model: bytes, config: NpuConfig) -> int:
    return sum(simulate(program).cycles for program in compile_model(model, config)[2])


def loaded(found: list[Command]) -> int:
    """Bytes of weights and lists."""
    kinds = (Destination.WEIGHTS, Destination.ENCODED, Destination.LIST)
    loads = [c for c in found if c.opcode == Opcode.LOAD and c["destination"] in kinds]
    return sum(c["rows"] * c["row_bytes"] for c in loads)


@pytest.mark.parametrize("share", [0.3, 0.75, 1.0])
@pytest.mark.parametrize("config", [PRUNING, ONLY_LISTS], ids=["all formats", "lists only"])
def test_zero_words_are_left_out(config: NpuConfig, share: float) -> None:
    model = without(network(), share)
    found = commands(model, config)
    assert all(c["listed"] for c in found if c.opcode == Opcode.CONV and c["kernel_height"] > 1)
    dense = commands(network(), config)
    assert loaded(found) < (1.15 - share) * loaded(dense) + 1000
    assert cycles(model, config) < cycles(network(), config)
    check_model(model, config)


def test_kept_words_may_hold_codes() -> None:
    model = changed(without(network(), 0.75), clustered)
    found = commands(model, PRUNING)
    assert any(c["listed"] for c in found)
    loads = [c for c in found if c.opcode == Opcode.LOAD]
    assert any(c["destination"] == Destination.ENCODED and c["code_bits"] <= 4 for c in loads)
    check_model(model, PRUNING)


@pytest.mark.parametrize(
    ("config", "share"), [(PRESETS["npu256"], 0.75), (PRUNING, 0.0)], ids=["no lists", "no zeros"]
)
def test_nothing_is_listed(config: NpuConfig, share: float) -> None:
    model = without(network(), share)
    assert not any(c["listed"] for c in commands(model, config))
    check_model(model, config)


def test_channels_that_fill_up_a_word_are_left_out() -> None:
    """The last four of 24 channels are not there, but a whole word of the grid."""
    assert any(c["listed"] for c in commands(network(20), PRUNING))
    check_model(network(20), PRUNING)


def test_a_list_must_pay() -> None:
    """One group of pixels, and few zero words: another LOAD takes longer than it saves."""
    rng = np.random.default_rng(4)
    m = ModelBuilder()
    random_conv2d(m, rng, random_input(m, rng, (1, 1, 1, 16)), 16, (1, 1))
    model = changed(m.build(), partial(ZERO, share=0.3))
    assert not any(c["listed"] for c in commands(model, PRUNING))
