"""The sequencer's steps against the loop nest of ARCHITECTURE.md, with pauses of the consumer."""

import random
from typing import Any

import pytest

from rtl.config import NpuConfig
from rtl.isa import ADDRESS_BITS, Opcode
from rtl.sequencer import Sequencer
from tests.rtl.bench import receive, simulate, small_config

Fields = dict[str, int]
Step = dict[str, int]

_WRAP = 1 << ADDRESS_BITS


def grid_fields(rng: random.Random, config: NpuConfig, opcode: Opcode) -> Fields:
    """A small loop nest; addresses and pitches are anything."""
    group = rng.randint(1, config.pixels)
    counts = {
        "blocks": rng.randint(1, 3),
        "ofm_height": rng.randint(1, 3),
        "ofm_width": rng.randint(1, 3 * config.pixels),
        "kernel_height": rng.randint(1, 3),
        "kernel_width": rng.randint(1, 3),
        "channel_steps": rng.randint(1, 3) if opcode == Opcode.CONV else 1,
    }
    places = {
        name: rng.randrange(_WRAP)
        for name in (
            *("ifm_origin", "ifm_plane_pitch", "ifm_row_step", "ifm_tap_row_step"),
            *("ofm_base", "ofm_plane_pitch"),
        )
    }
    return {
        **counts,
        **places,
        "ofm_row_pitch": rng.randrange(1 << 16),
        "parameter_base": rng.randrange(1 << 14),
        "group_pixels": group,
        "group_step": group * rng.randint(1, 2),
        "tap_step": rng.randint(1, 3),
        "stride_y": rng.randint(1, 3),
        "dilation_y": rng.randint(1, 3),
        "pad_top": rng.randrange(4),
        "pad_left": rng.randrange(2 * config.banks),
        "ifm_height": rng.randint(1, 6),
        "ifm_width": rng.randint(1, 3 * config.banks),
    }


def grid_steps(c: Fields, config: NpuConfig, opcode: Opcode, words: int) -> list[Step]:
    """The nest, literally."""
    steps = []
    groups = range(0, c["ofm_width"], c["group_pixels"])
    for block in range(c["blocks"]):
        for oy in range(c["ofm_height"]):
            for g, ox in enumerate(groups):
                taps = [
                    (ky, kx, cs)
                    for ky in range(c["kernel_height"])
                    for kx in range(c["kernel_width"])
                    for cs in range(c["channel_steps"])
                ]
                for number, (ky, kx, cs) in enumerate(taps):
                    plane = cs if opcode == Opcode.CONV else block
                    address = c["ifm_origin"] + oy * c["ifm_row_step"] + g * c["group_step"]
                    address += ky * c["ifm_tap_row_step"] + kx * c["tap_step"]
                    address += plane * c["ifm_plane_pitch"]
                    row = oy * c["stride_y"] - c["pad_top"] + ky * c["dilation_y"]
                    column = g * c["group_step"] - c["pad_left"] + kx * c["tap_step"]
                    inside = 0 <= row < c["ifm_height"]
                    group_last = ox == groups[-1]
                    block_last = oy == c["ofm_height"] - 1 and group_last
                    ofm = c["ofm_base"] + block * words * c["ofm_plane_pitch"]
                    steps.append(
                        {
                            "address": address % _WRAP,
                            "words": sum(
                                1 << j
                                for j in range(config.banks)
                                if inside and 0 <= column + j < c["ifm_width"]
                            ),
                            "first": number == 0,
                            "last": number == len(taps) - 1,
                            "ofm_address": (ofm + oy * c["ofm_row_pitch"] + ox) % _WRAP,
                            "ofm_pixels": min(c["group_pixels"], c["ofm_width"] - ox),
                            "parameter_block": (c["parameter_base"] + block * words) % (1 << 14),
                            "block_last": number == len(taps) - 1 and block_last,
                            "command_last": number == len(taps) - 1
                            and block_last
                            and block == c["blocks"] - 1,
                        }
                    )
    return steps


def elementwise_steps(c: Fields, config: NpuConfig) -> list[Step]:
    """Windows of the two operands in turn."""
    steps = []
    for start in range(0, c["words"], config.banks):
        size = min(config.banks, c["words"] - start)
        for second, name in enumerate(("ifm_base", "ifm2_base")):
            repeated = second and c["ifm2_repeat"]
            steps.append(
                {
                    "address": (c[name] + (0 if repeated else start)) % _WRAP,
                    "words": 1 if repeated else (1 << size) - 1,
                    "first": not second,
                    "last": bool(second),
                    "ofm_address": (c["ofm_base"] + start) % _WRAP,
                    "command_last": start + size == c["words"],
                }
            )
    return steps


def run(config: NpuConfig, opcode: Opcode, c: Fields, words: int, count: int, seed: int) -> Any:
    """The steps that come out, and how many cycles after `start` the first was offered."""
    dut: Any = Sequencer(config)
    rng = random.Random(seed)
    steps: list[Any] = []
    first: list[int] = []

    async def watch(ctx: Any) -> None:
        cycle = -1
        async for _, _, valid in ctx.tick().sample(dut.steps.valid):
            if valid and not first:
                first.append(cycle)
            cycle += 1

    async def main(ctx: Any) -> None:
        ctx.set(dut.opcode, int(opcode))
        ctx.set(dut.block_words, words)
        layout = dut.elementwise if opcode == Opcode.ELEMENTWISE else dut.grid
        for name, value in c.items():
            ctx.set(layout[name], value)
        await ctx.tick()
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        steps.extend(await receive(ctx, dut.steps, count, rng, rng.choice([0.0, 0.5])))
        for _ in range(8):
            await ctx.tick()
            assert not ctx.get(dut.steps.valid), "a step too many"

    simulate(dut, main, [watch], 100 + 8 * count)
    return steps, first[0]


def check(got: Any, expected: Step, config: NpuConfig, label: str) -> None:
    for name, value in expected.items():
        if name == "words":
            mask = sum(1 << j for j in range(config.banks) if got.low <= j < got.high)
            assert mask == value, f"{label}: words {got.low} to {got.high}, expected {value:b}"
        else:
            assert getattr(got, name) == value, f"{label}: {name}"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("opcode", [Opcode.CONV, Opcode.DEPTHWISE, Opcode.MAX_POOL])
def test_loop_nest(opcode: Opcode, seed: int) -> None:
    rng = random.Random(f"{opcode} {seed}")
    config = small_config(4, 8)
    c = grid_fields(rng, config, opcode)
    words = rng.randint(1, 4) if opcode == Opcode.CONV else 1
    expected = grid_steps(c, config, opcode, words)
    steps, first = run(config, opcode, c, words, len(expected), seed)
    assert first == 2 + words
    for number, (got, wanted) in enumerate(zip(steps, expected, strict=True)):
        check(got, wanted, config, f"seed {seed}, step {number} of {c}")


@pytest.mark.parametrize("seed", range(4))
def test_elementwise(seed: int) -> None:
    rng = random.Random(seed)
    config = small_config(4, 8)
    c = {
        "words": rng.choice([1, config.banks, rng.randint(1, 5 * config.banks)]),
        "ifm2_repeat": seed % 2,
        **{name: rng.randrange(_WRAP) for name in ("ifm_base", "ifm2_base", "ofm_base")},
    }
    expected = elementwise_steps(c, config)
    steps, first = run(config, Opcode.ELEMENTWISE, c, 1, len(expected), seed)
    assert first == 3
    for number, (got, wanted) in enumerate(zip(steps, expected, strict=True)):
        check(got, wanted, config, f"seed {seed}, step {number} of {c}")
