"""Multipliers, grid and accumulators against sums of products."""

import copy
import random
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module, Signal, signed, unsigned

from rtl.accumulators import Accumulators
from rtl.config import NpuConfig
from rtl.grid import Grid, GridMode, GridTag
from rtl.multiplier import Multiplier
from tests.rtl.arithmetic import wrap32
from tests.rtl.bench import simulate, small_config

Word = list[int]


def pack(word: Word) -> int:
    return int.from_bytes(bytes(byte & 0xFF for byte in word), "little")


def draw(rng: random.Random, count: int) -> Word:
    return [rng.choice([-128, -1, 0, 1, 127, rng.randint(-128, 127)]) for _ in range(count)]


def test_multiplier_holds_its_operands_and_its_product() -> None:
    dut: Any = Multiplier(unsigned(18), signed(14))
    rng = random.Random(1)

    async def main(ctx: Any) -> None:
        taken, product = (0, 0), 0
        for _ in range(200):
            a = rng.choice([0, (1 << 18) - 1, rng.randrange(1 << 18)])
            b = rng.choice([-(1 << 13), (1 << 13) - 1, rng.randrange(1 << 13)])
            take, multiply = rng.randrange(2), rng.randrange(2)
            for name, value in (("a", a), ("b", b), ("take", take), ("multiply", multiply)):
                ctx.set(getattr(dut, name), value)
            await ctx.tick()
            product = taken[0] * taken[1] if multiply else product
            taken = (a, b) if take else taken
            assert ctx.get(dut.product) == product

    simulate(dut, main, [], 300)


def products(
    config: NpuConfig, mode: GridMode, stride: int, window: list[Word], weight: Word
) -> dict[str, list[int]]:
    """What the docstring of `Grid` says."""
    p_range, k_range, c_range = range(config.pixels), range(config.channels), range(config.lanes)
    if mode is GridMode.CONV:
        sums = [
            sum(window[p * stride][c] * weight[k * config.lanes + c] for c in c_range)
            for p in p_range
            for k in k_range
        ]
        return {"sums": sums}
    taps = config.taps_per_step(stride)
    columns = []
    for p in p_range:
        for c in c_range:
            if mode is GridMode.MAX_POOL:
                columns.append(window[p * stride][c])
            else:
                own = weight[c * config.channels :]
                columns.append(sum(window[p * stride + k][c] * own[k] for k in range(taps)))
    return {"columns": columns}


CONFIGS = {
    "2 columns": small_config(4, 8),
    "1 column": NpuConfig(pixels=4, channels=1, lanes=4, accumulator_depth=4, requant_lanes=4),
    "as many columns as lanes": NpuConfig(pixels=2, channels=4, lanes=4, requant_lanes=4),
}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("mode", GridMode)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_grid(config: NpuConfig, mode: GridMode, stride: int) -> None:
    rng = random.Random(f"{mode} {config.channels} {stride}")
    dut: Any = Grid(config)
    expected: list[dict[str, list[int]]] = []
    tags: list[int] = []
    issued: list[int] = []

    async def watch(ctx: Any) -> None:
        while True:
            await ctx.tick()
            if ctx.get(dut.valid):
                tags.append(ctx.get(dut.result_tag.slot))
                for name, values in expected.pop(0).items():
                    assert [ctx.get(v) for v in getattr(dut, name)] == values

    async def main(ctx: Any) -> None:
        ctx.set(dut.stride_two, stride == 2)
        ctx.set(dut.tag.mode, mode)
        weight: Word = []
        for number in range(40):
            # the weight word of the operation before arrives
            for k in range(config.channels):
                row = weight[k * config.lanes : (k + 1) * config.lanes]
                ctx.set(dut.weight_columns[k], pack(row))
            go = rng.random() < 0.7 and number < 30
            window = [draw(rng, config.lanes) for _ in range(config.banks)]
            for target, word in zip(dut.window, window, strict=True):
                ctx.set(target, pack(word))
            weight = draw(rng, config.channels * config.lanes)
            if mode is GridMode.DEPTHWISE:
                for c in range(config.lanes):
                    for k in range(config.taps_per_step(stride), config.channels):
                        weight[c * config.channels + k] = 0
            ctx.set(dut.issue, go)
            ctx.set(dut.tag.slot, number % 2)
            if go:
                issued.append(number % 2)
                expected.append(products(config, mode, stride, window, weight))
            await ctx.tick()

    simulate(dut, main, [watch], 100)
    assert not expected
    assert tags == issued


class _Announced(Elaboratable):
    """Accumulators that are told of each update a cycle before it comes, as by the grid."""

    def __init__(self, config: NpuConfig) -> None:
        self.inner: Any = Accumulators(config)
        self.valid = Signal()
        self.tag: Any = Signal(GridTag(config))
        self.sums = [Signal.like(value, name=f"sum{i}") for i, value in enumerate(self.inner.sums)]
        self.columns = [
            Signal.like(value, name=f"column{i}") for i, value in enumerate(self.inner.columns)
        ]
        self.read_slot, self.choice = self.inner.read_slot, self.inner.choice
        self.values = self.inner.values

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.inner = inner = self.inner
        m.d.comb += [inner.coming_valid.eq(self.valid), inner.coming_tag.eq(self.tag)]
        m.d.sync += [inner.valid.eq(self.valid), inner.tag.eq(self.tag)]
        m.d.sync += [target.eq(value) for target, value in zip(inner.sums, self.sums, strict=True)]
        pairs = zip(inner.columns, self.columns, strict=True)
        m.d.sync += [target.eq(value) for target, value in pairs]
        return m


@pytest.mark.parametrize("requant_lanes", [1, 2, 4, 8])
def test_accumulators(requant_lanes: int) -> None:
    config = NpuConfig(
        pixels=2, channels=2, lanes=4, accumulator_depth=4, requant_lanes=requant_lanes
    )
    rng = random.Random(requant_lanes)
    dut: Any = _Announced(config)
    slots, lanes, columns = 2 * config.block_words, config.lanes, config.channels
    held = [[[0] * lanes for _ in range(config.pixels)] for _ in range(slots)]

    async def main(ctx: Any) -> None:
        fresh = set(range(slots))
        # of the latest update; those of a maximum follow one another
        latest: tuple[int, GridMode] | None = None
        before: dict[int, list[Word]] = {}
        for _ in range(200):
            mode = rng.choice(list(GridMode))
            slot, part = rng.randrange(slots), rng.randrange(config.groups_per_word)
            if latest is not None and rng.random() < 0.5:
                # of the same slot at once
                slot, mode = latest[0], rng.choice([mode, latest[1]])
            # what is read in the cycle after the update has neither it nor the one before
            visible = before
            before = {s: copy.deepcopy(held[s]) for s in range(slots) if s not in fresh}
            first = slot in fresh
            if first:
                # a slot begins with all of its parts, of one kind
                mode = rng.choice([GridMode.DEPTHWISE, GridMode.MAX_POOL])
                fresh.discard(slot)
            valid = first or rng.random() < 0.8
            sums = [rng.randrange(-(1 << 17), 1 << 17) for _ in dut.sums]
            maximum = mode is GridMode.MAX_POOL
            if maximum and not first:
                valid = valid and latest == (slot, mode)
            terms = [
                rng.randint(-128, 127) if maximum else rng.randrange(-(1 << 16), 1 << 16)
                for _ in dut.columns
            ]
            for target, value in zip([*dut.sums, *dut.columns], sums + terms, strict=True):
                ctx.set(target, value)
            ctx.set(dut.valid, valid)
            ctx.set(dut.tag.mode, mode)
            ctx.set(dut.tag.slot, slot)
            ctx.set(dut.tag.part, part)
            ctx.set(dut.tag.first, first)
            old = held[slot]
            if valid:
                latest = slot, mode
                for p in range(config.pixels):
                    for c in range(lanes):
                        if mode is GridMode.CONV:
                            if c // columns == part:
                                old[p][c] = wrap32(old[p][c] + sums[p * columns + c % columns])
                            continue
                        term = terms[p * lanes + c]
                        if first:
                            old[p][c] = term
                        else:
                            old[p][c] = max(old[p][c], term) if maximum else old[p][c] + term
            await ctx.tick()
            read = rng.randrange(slots)
            choice = rng.randrange(config.output_choices)
            ctx.set(dut.valid, 0)
            ctx.set(dut.read_slot, read)
            ctx.set(dut.choice, choice)
            if read in visible:
                flat = [value for pixel in visible[read] for value in pixel]
                wanted = flat[choice * requant_lanes :][:requant_lanes]
                assert [ctx.get(value) for value in dut.values] == wanted

    simulate(dut, main, [], 400)
