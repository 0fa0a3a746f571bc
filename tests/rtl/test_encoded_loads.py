"""LOADs of encoded weights through the load engine, alone and between others."""

import random
from dataclasses import replace
from typing import Any

import pytest

from npu.verify.weights import FORMS, decodes
from rtl.config import WEIGHT_FORMATS, NpuConfig
from rtl.isa import Command, Destination, Tables
from rtl.registers import ErrorCode
from tests.rtl import models
from tests.rtl.bench import changed, small_config
from tests.rtl.test_load_engine import (
    load,
    make_memory,
    random_load,
    region_bytes,
    run,
    weights,
)
from tests.sim.configs import switched

DECODERS = switched(WEIGHT_FORMATS)


def encoded(
    config: NpuConfig, units: int, form: tuple[int, Tables, bool], **fields: int
) -> Command:
    """A LOAD of encoded weights: `units` units of any bytes, for two pairs of units."""
    bits, tables, masked = form
    command = weights(config, units, code_bits=bits, tables=tables, masked=int(masked))
    defaults = {"destination": Destination.ENCODED, "row_pitch": 2, "plane_pitch": 2}
    return changed(command, **(defaults | fields))


def random_encoded(config: NpuConfig, rng: random.Random) -> Command:
    """A LOAD of encoded weights that are any bytes."""
    offset = rng.randrange(1000)
    forms = [form for form in FORMS if decodes(config, *form)]
    command = encoded(config, rng.randint(1, 12), rng.choice(forms), base=2 * rng.randrange(9))
    pitch, rows = rng.choice([(2, 1), (4, 1), (4, 2), (6, 3)])
    # whatever a LOAD can make of bytes is a stream
    return changed(
        command,
        offset=offset,
        rows=rows,
        row_stride=rng.choice([0, rng.randrange(99)]),
        row_bytes=rng.randint(1, 99),
        pad_left=rng.choice([0, 5]),
        pad_value=rng.randint(-128, 127),
        row_pitch=pitch,
        plane_pitch=rng.randint(1, 5),
    )


@pytest.mark.parametrize("bus_bytes", [4, 8, 16])
@pytest.mark.parametrize("pause", [0.0, 0.4])
def test_random_loads_of_hardware_that_decodes(pause: float, bus_bytes: int) -> None:
    config = replace(small_config(8, bus_bytes, weight_buffer_kib=4), **DECODERS)
    rng = random.Random(bus_bytes)
    commands = [rng.choice([random_load, random_encoded])(config, rng) for _ in range(20)]
    memory = make_memory(config, latency=rng.randint(1, 20), pause=pause, seed=1)
    result = run(config, commands, memory, pause=pause, seed=1)
    expected = [w for c in commands for w in models.load(config, c, region_bytes(memory))]
    assert result.errors == []
    assert result.done == result.starts == list(range(len(commands)))
    assert result.writes == expected


def test_codes_of_four_bits_keep_the_bus_busy() -> None:
    config = replace(small_config(8, 8, weight_buffer_kib=8, burst_beats=64), **DECODERS)
    form = 4, Tables.SHARED, False
    commands = [
        encoded(config, 202, form, plane_pitch=200),
        encoded(config, 202, form, plane_pitch=200, offset=2000, base=400),
    ]
    memory = make_memory(config, latency=20)
    result = run(config, commands, memory)
    assert result.writes == [
        w for c in commands for w in models.load(config, c, region_bytes(memory))
    ]
    beats = memory.read_beats
    assert len(beats) / (beats[-1] - beats[0] + 1) > 0.97


def encoded_error_cases() -> list[Any]:
    """LOADs of encoded weights that no hardware, or only other hardware, executes."""
    config = small_config(8, 8)
    shared, int4, masked = (
        (4, Tables.SHARED, False),
        (4, Tables.NONE, False),
        (8, Tables.NONE, True),
    )
    everything = tuple(DECODERS)
    good = encoded(config, 6, int4)
    units = config.weight_words * config.channels
    cases = {
        "no_decoder": ((), good, ErrorCode.ILLEGAL_FIELD),
        "no_tables": (everything[1:], encoded(config, 6, shared), ErrorCode.ILLEGAL_FIELD),
        "no_int4": (everything[::2], good, ErrorCode.ILLEGAL_FIELD),
        "no_masks": (everything[:2], encoded(config, 6, masked), ErrorCode.ILLEGAL_FIELD),
        "beyond": (everything, changed(good, base=units - 2), ErrorCode.BUFFER_BOUNDS),
        "all_beyond": (everything, changed(good, base=units), ErrorCode.BUFFER_BOUNDS),
        **{
            f"{name}_{value}": (everything, changed(good, **{name: value}), ErrorCode.ILLEGAL_FIELD)
            for name, value in (
                *(("code_bits", bits) for bits in (0, 1, 3, 5, 8, 15)),
                *(("tables", 3), ("region", 1), ("base", 1), ("row_pitch", 3), ("row_pitch", 0)),
                *(("row_pitch", 1024), ("plane_pitch", 0), ("pixel_bytes", 7), ("merge", 1)),
            )
        },
        **{
            f"masked_{bits}": (
                everything,
                encoded(config, 6, (bits, Tables.SHARED, True)),
                ErrorCode.ILLEGAL_FIELD,
            )
            for bits in (1, 2, 3, 8)
        },
        "dense_bits": (
            everything,
            changed(weights(config, 4), code_bits=4),
            ErrorCode.ILLEGAL_FIELD,
        ),
        "dense_mask": (everything, changed(weights(config, 4), masked=1), ErrorCode.ILLEGAL_FIELD),
    }
    return [pytest.param(*case, id=name) for name, case in cases.items()]


@pytest.mark.parametrize(("formats", "command", "code"), encoded_error_cases())
def test_faulty_load_of_encoded_weights(
    formats: tuple[str, ...], command: Command, code: ErrorCode
) -> None:
    config = replace(small_config(8, 8), **switched(formats))
    good = [weights(config, 20), load(base=7)]
    memory = make_memory(config, latency=9)
    result = run(config, [*good, command, weights(config, 8)], memory)
    assert result.errors == [(code, 2)]
    assert result.done == [0, 1, 2]
    before = [w for c in good for w in models.load(config, c, region_bytes(memory))]
    after = result.writes[len(before) :]
    assert result.writes[: len(before)] == before
    if code == ErrorCode.BUFFER_BOUNDS:
        legal = models.load(config, command, region_bytes(memory))
        assert after == [w for w in legal if w.address < config.weight_words * config.channels]
    else:
        assert after == []
