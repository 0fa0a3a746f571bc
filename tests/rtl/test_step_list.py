"""Steps that are left out: the sequencer with a list, against the loop nest and the masks."""

import random
from typing import Any

import numpy as np
import pytest

from rtl.isa import Opcode
from rtl.sequencer import Sequencer
from sim.step_list import forced, packed_rows
from tests.rtl.bench import receive, simulate
from tests.rtl.test_sequencer import Fields, Step, check, grid_fields, grid_steps
from tests.sim.configs import DECODING

SHAPES = [(1, 1, 2), (1, 2, 4), (3, 3, 1), (2, 2, 2), (3, 3, 3), (1, 1, 17), (3, 1, 8)]
"""Kernel height and width, channel steps: 2, 8, 9, 27, 17 and 24 steps, of rows of 8."""


def run(c: Fields, rows: np.ndarray[Any, Any], words: int, count: int, seed: int) -> list[Any]:
    """The steps that come out of a sequencer whose list holds `rows` from `list_base` on."""
    dut: Any = Sequencer(DECODING)
    rng = random.Random(seed)
    steps: list[Any] = []

    async def main(ctx: Any) -> None:
        ctx.set(dut.list_write.valid, 1)
        for number, row in enumerate(rows.reshape(-1, 8)):
            ctx.set(dut.list_write.row, (c["list_base"] + number) % 256)
            ctx.set(dut.list_write.data, int.from_bytes(row.tobytes(), "little"))
            await ctx.tick()
        ctx.set(dut.list_write.valid, 0)
        ctx.set(dut.opcode, int(Opcode.CONV))
        ctx.set(dut.block_words, words)
        for name, value in c.items():
            ctx.set(dut.grid[name], value)
        # a command after another one, which was stopped anywhere
        for begin in range(2):
            await ctx.tick()
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            wanted = count if begin else rng.randrange(count)
            found = await receive(ctx, dut.steps, wanted, rng, rng.choice([0.0, 0.5]))
            ctx.set(dut.abort, 1 - begin)
            await ctx.tick()
            ctx.set(dut.abort, 0)
        steps.extend(found)
        for _ in range(40):
            await ctx.tick()
            assert not ctx.get(dut.steps.valid), "a step too many"

    simulate(dut, main, [], 1000 + 40 * count)
    return steps


def kept(c: Fields, masks: np.ndarray[Any, Any], words: int) -> list[tuple[Step, int]]:
    """The steps that there are, with their masks."""
    blocks, steps = masks.shape
    nest = grid_steps(c, DECODING, Opcode.CONV, words)
    groups = len(nest) // (blocks * steps)
    every = np.repeat(masks[:, None], groups, axis=1).reshape(-1)
    return [(step, int(mask)) for step, mask in zip(nest, every, strict=True) if mask]


@pytest.mark.parametrize("density", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{np.prod(shape)} steps")
def test_steps_are_left_out(shape: tuple[int, int, int], density: float) -> None:
    rng = random.Random(f"{shape} {density}")
    c = grid_fields(rng, DECODING, Opcode.CONV)
    c |= dict(zip(("kernel_height", "kernel_width", "channel_steps"), shape, strict=True))
    # rows wrap behind the last one of the list
    c |= {"ofm_width": rng.randint(1, 4), "depth": 4, "listed": 1, "list_base": 253}
    bits = [sum((rng.random() < density) << d for d in range(8)) for _ in range(c["blocks"] * 27)]
    masks = np.array(bits, np.uint8)[: c["blocks"] * int(np.prod(shape))]
    masks = masks.reshape(c["blocks"], -1)
    rows, words = packed_rows(masks), 1
    expected = kept(c, forced(masks, 4), words)
    found = run(c, rows, words, len(expected), rng.randrange(1 << 30))
    for number, (got, (step, mask)) in enumerate(zip(found, expected, strict=True)):
        check(got, step, DECODING, f"step {number} of {c}")
        assert (got.mask, got.single) == (mask, mask.bit_count() == 1), f"step {number} of {c}"


@pytest.mark.parametrize(("opcode", "mask"), [(Opcode.CONV, 0b11), (Opcode.DEPTHWISE, 1)])
def test_without_a_list_every_word_is_there(opcode: Opcode, mask: int) -> None:
    rng = random.Random(1)
    c = grid_fields(rng, DECODING, opcode) | {"depth": 2}
    dut: Any = Sequencer(DECODING)

    async def main(ctx: Any) -> None:
        ctx.set(dut.opcode, int(opcode))
        ctx.set(dut.block_words, 1)
        for name, value in c.items():
            ctx.set(dut.grid[name], value)
        await ctx.tick()
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        steps = grid_steps(c, DECODING, opcode, 1)
        for got in await receive(ctx, dut.steps, len(steps), rng, 0.0):
            assert got.mask == mask

    simulate(dut, main, [], 4000)
