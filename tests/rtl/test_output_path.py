"""Windows, control of the grid, and drain, with random pauses on both sides."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from rtl.accumulators import Accumulators
from rtl.config import NpuConfig
from rtl.grid import Grid, GridMode
from rtl.mac_control import MacControl
from rtl.output_stage import Drain
from rtl.skid import SkidBuffer
from rtl.window import WindowQueue
from tests.rtl.bench import receive, send, simulate, small_config


@pytest.mark.parametrize("pause", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4)])
def test_skid_buffer(pause: tuple[float, float]) -> None:
    dut: Any = SkidBuffer(16)
    items = random.Random(1).sample(range(1 << 16), 100)
    received: list[int] = []

    async def source(ctx: Any) -> None:
        await send(ctx, dut.i, items, random.Random(2), pause[0])

    async def main(ctx: Any) -> None:
        received.extend(await receive(ctx, dut.o, len(items), random.Random(3), pause[1]))

    simulate(dut, main, [source], 800)
    assert received == items


def test_skid_buffer_is_ready_whatever_its_consumer_does() -> None:
    dut: Any = SkidBuffer(8)

    async def main(ctx: Any) -> None:
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        for ready in (0, 1, 0):
            ctx.set(dut.o.ready, ready)
            assert ctx.get(dut.i.ready)
        await ctx.tick()
        for ready in (0, 1):
            ctx.set(dut.o.ready, ready)
            assert not ctx.get(dut.i.ready)
        ctx.set(dut.clear, 1)
        ctx.set(dut.i.valid, 0)
        await ctx.tick()
        assert ctx.get(dut.i.ready)
        assert not ctx.get(dut.o.valid)

    simulate(dut, main, [], 20)


@pytest.mark.parametrize("for_grid", [True, False])
@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_windows(pause: float, for_grid: bool) -> None:
    """Words of a memory that grants when it likes; padding; heads in order, taken when liked."""
    config = small_config(4, 8)
    dut: Any = WindowQueue(config)
    rng = random.Random(f"windows {pause}")
    count, banks = 60, config.banks
    steps = []
    for number in range(count):
        low = rng.randrange(banks + 1)
        steps.append(
            {
                "address": rng.randrange(64),
                "low": low,
                "high": rng.randrange(banks + 1),
                "parameter_block": number,
            }
        )

    def word(address: int) -> int:
        return 0x01010101 * (address % 251)

    zero_point = -7
    padding = 0x01010101 * (zero_point & 0xFF)

    async def memory(ctx: Any) -> None:
        kept, fetched = 0, None
        while True:
            ctx.set(dut.fetch.ready, rng.random() >= pause)
            _, _, valid, ready, prepare, address = await ctx.tick().sample(
                dut.fetch.valid, dut.fetch.ready, dut.fetch.prepare, dut.fetch.address
            )
            # two cycles after the request, until the next one's
            if fetched is not None:
                for j in range(banks):
                    ctx.set(dut.fetch.words[j], word(fetched + j))
            fetched = kept if valid and ready else None
            kept = address if prepare else kept

    async def source(ctx: Any) -> None:
        await send(ctx, dut.steps, steps, random.Random(5), pause)

    async def main(ctx: Any) -> None:
        ctx.set(dut.zero_point, zero_point)
        ctx.set(dut.for_grid, for_grid)
        taken = 0
        while taken < count:
            if ctx.get(dut.next_valid):
                assert ctx.get(dut.next_valid) <= ctx.get(dut.head_valid)
            # the grid takes single windows, ELEMENTWISE pairs
            there = ctx.get(dut.head_valid if for_grid else dut.next_valid)
            pop = bool(there) and rng.random() >= pause
            both = pop and not for_grid
            assert ctx.get(dut.grid_valid) == ctx.get(dut.head_valid) * for_grid
            assert ctx.get(dut.pair_valid) == ctx.get(dut.next_valid) * (not for_grid)
            for place, words in ((0, dut.head), (1, dut.next)):
                if not ctx.get((dut.head_valid, dut.next_valid)[place]):
                    continue
                step = steps[taken + place]
                for j in range(banks):
                    fetched = word(step["address"] + j)
                    assert ctx.get(words[j]) == fetched, (taken, place, j)
                    if place == 0:
                        inside = step["low"] <= j < step["high"]
                        assert ctx.get(dut.padded[j]) == (fetched if inside else padding)
            if pop:
                assert ctx.get(dut.head_step.parameter_block) == taken
            ctx.set(dut.pop, pop and not both)
            ctx.set(dut.pop_both, both)
            taken += 2 if both else int(pop)
            await ctx.tick()

    simulate(dut, main, [memory, source], 3000)


DRAINED = {
    "two pixels a cycle": NpuConfig(pixels=2, channels=2, lanes=4, requant_lanes=8),
    "one pixel": NpuConfig(pixels=2, channels=2, lanes=4, requant_lanes=4),
    "a quarter of a pixel": NpuConfig(pixels=2, channels=2, lanes=4, requant_lanes=1),
}


@pytest.mark.parametrize("mode", [GridMode.CONV, GridMode.DEPTHWISE])
@pytest.mark.parametrize("config", DRAINED.values(), ids=DRAINED.keys())
def test_groups_from_windows_to_results(config: NpuConfig, mode: GridMode) -> None:
    """Slots are not written before they were read, read after they were written, all in order."""
    rng = random.Random(f"{mode} {config.requant_lanes}")
    conv = mode is GridMode.CONV
    words = config.block_words if conv else 1
    depth, steps, groups, pitch = config.groups_per_word * words, 2, 24, 1000
    m = Module()
    mac: Any = MacControl(config)
    drain: Any = Drain(config)
    m.submodules.mac, m.submodules.drain = mac, drain
    connect(m, mac.groups, drain.groups)
    m.d.comb += mac.release.eq(drain.release)
    pixels = [rng.randint(1, config.pixels) for _ in range(groups)]
    # cycle in which a slot's last sums arrive, until it was read
    written: dict[int, int] = {}
    weights: list[int] = []
    results: list[tuple[int, int, int]] = []

    async def main(ctx: Any) -> None:
        ctx.set(mac.mode, mode)
        ctx.set(mac.depth, depth)
        ctx.set(mac.weight_base, 5)
        ctx.set(drain.block_words, words)
        ctx.set(drain.plane_pitch, pitch)
        ctx.set(mac.start, 1)
        await ctx.tick()
        ctx.set(mac.start, 0)
        await ctx.tick().repeat(2)
        position = cycle = 0
        finished = False
        while not finished:
            group, step = divmod(position, steps)
            valid = position < steps * groups and rng.random() < 0.8
            ctx.set(mac.head_valid, valid)
            ctx.set(mac.head_step.first, step == 0)
            ctx.set(mac.head_step.last, step == steps - 1)
            ctx.set(mac.head_step.block_last, 0)
            ctx.set(mac.head_step.command_last, group == groups - 1)
            ctx.set(mac.head_step.ofm_address, 10 * group)
            ctx.set(mac.head_step.ofm_pixels, pixels[min(group, groups - 1)])
            ctx.set(mac.head_step.parameter_block, group)
            place = ctx.get(drain.place)
            if place.mask:
                slot = ctx.get(drain.slot)
                assert written[slot] < cycle, f"slot {slot} is read too early"
                results.append((place.address, place.mask, place.part))
                finished = bool(place.last)
                row = ctx.get(drain.choice) + 1
                size = -(-pixels[place.address % pitch // 10] // config.requant_words)
                if row == size * config.requant_parts:
                    del written[slot]
            # its results come later than what is read in this cycle
            if ctx.get(mac.issue):
                slot = ctx.get(mac.tag.slot)
                if ctx.get(mac.tag.first) and ctx.get(mac.tag.part) == 0:
                    assert slot not in written, f"slot {slot} is not drained in cycle {cycle}"
                written[slot] = cycle + Grid.LATENCY + Accumulators.LATENCY - 1
                weights.append(ctx.get(mac.weight_address))
            position += ctx.get(mac.pop)
            await ctx.tick()
            cycle += 1

    simulate(m, main, [], 4000)
    per_group = steps * (depth if conv else 1)
    assert weights == [5 + i for i in range(per_group)] * groups
    expected = []
    q = config.requant_words
    for group, count in enumerate(pixels):
        for word in range(words):
            for first in range(0, count, q):
                mask = (1 << min(q, count - first)) - 1
                place = 10 * group + word * pitch + first
                expected += [(place, mask, part) for part in range(config.requant_parts)]
    assert results == expected
