"""Streams of encoded weights: what is written is read back, and how long it is."""

import numpy as np
import pytest

from npu.verify.weights import FORMS, random_weights
from rtl.errors import EncodingError
from rtl.isa import Tables
from sim.weight_stream import NEEDS, TAKES, Encoding, decode_weights, encode_weights


@pytest.mark.parametrize(("bits", "tables", "masked"), FORMS)
def test_what_is_written_is_read(bits: int, tables: Tables, masked: bool) -> None:
    rng = np.random.default_rng(bits)
    for density in (0.0, 0.03, 0.2, 0.5, 0.9, 1.0):
        for pitch, pairs, blocks in ((2, 1, 1), (2, 37, 1), (8, 5, 1), (4, 9, 3)):
            encoding = Encoding(bits, tables, masked, pitch, pairs, blocks)
            weights = random_weights(encoding, density, rng)
            stream = encode_weights(weights, encoding)
            decoded = decode_weights(stream, encoding)
            np.testing.assert_array_equal(decoded.weights, weights, err_msg=str(encoding))
            assert len(stream) % (8 * blocks) == 0
            takes = np.count_nonzero(decoded.cycles & TAKES)
            assert takes * 8 >= len(stream), "every unit is taken"
            assert not (decoded.cycles == TAKES).any(), "what is taken was needed"


@pytest.mark.parametrize(("bits", "tables", "masked"), FORMS)
def test_any_bytes_are_a_stream(bits: int, tables: Tables, masked: bool) -> None:
    rng = np.random.default_rng(bits)
    for units in (1, 3, 30, 300):
        encoding = Encoding(bits, tables, masked, 4, 11, 2)
        stream = rng.integers(0, 256, 8 * units, np.uint8)
        decoded = decode_weights(stream, encoding)
        longer = decode_weights(np.concatenate([stream, np.zeros(800, np.uint8)]), encoding)
        np.testing.assert_array_equal(decoded.weights, longer.weights)


@pytest.mark.parametrize("tables", [Tables.SHARED, Tables.CHANNELS])
def test_codes_of_four_bits_take_a_unit_a_cycle(tables: Tables) -> None:
    """An 8-byte bus never waits, but for two cycles where one table is for all."""
    shared = tables == Tables.SHARED
    encoding = Encoding(4, tables, False, 2 if shared else 4, 100)
    weights = random_weights(encoding, 1.0, np.random.default_rng(1))
    stream = encode_weights(weights, encoding)
    assert len(stream) == (16 if shared else 2 * 32) + weights.size // 2
    cycles = decode_weights(stream, encoding).cycles
    begin = [NEEDS, NEEDS | TAKES, NEEDS, NEEDS | TAKES] if shared else []
    assert cycles[: len(begin)].tolist() == begin
    assert (cycles[len(begin) :] == NEEDS | TAKES).all()


@pytest.mark.parametrize("density", [0.1, 0.2, 0.5, 0.7, 0.8])
def test_masks_cost_no_cycles(density: float) -> None:
    """A unit of eight weights a cycle, besides the first masks."""
    encoding = Encoding(8, Tables.NONE, True, 2, 1000)
    weights = random_weights(encoding, density, np.random.default_rng(1))
    stream = encode_weights(weights, encoding)
    assert abs(len(stream) / weights.size - (density + 1 / 8)) < 0.02
    decoded = decode_weights(stream, encoding)
    assert len(decoded.cycles) <= 1.002 * encoding.units


def test_what_has_no_code() -> None:
    weights = np.arange(32, dtype=np.uint8).reshape(4, 8)
    with pytest.raises(EncodingError, match="32 different weights, where a table has 16 entries"):
        encode_weights(weights, Encoding(4, Tables.SHARED, False, 2, 2))
    with pytest.raises(EncodingError, match="weights that are no 4-bit integers"):
        encode_weights(weights, Encoding(4, Tables.NONE, False, 2, 2))
