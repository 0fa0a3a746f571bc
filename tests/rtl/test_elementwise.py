"""The elementwise path and the lookup table against integer formulas."""

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from rtl.buffers import LookupTable
from rtl.config import ROUNDINGS, NpuConfig
from rtl.elementwise import Elementwise
from rtl.isa import Function
from tests.rtl.arithmetic import scale, wrap32
from tests.rtl.bench import simulate, small_config

Word = list[int]


@dataclass
class Results:
    """What reached the requantizer: per word its values, address and flag; and the cycles of the
    first word taken and of the first result."""

    values: list[Word] = field(default_factory=list)
    addresses: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)
    issued: int = -1
    delivered: int = -1


def pack(word: Word) -> int:
    return int.from_bytes(bytes(byte & 0xFF for byte in word), "little")


def run(
    config: NpuConfig, settings: dict[str, int], first: list[Word], second: list[Word], table: Word
) -> Results:
    """Fill the table, then pass pairs of windows; `second` may be the one word that is repeated."""
    m = Module()
    path: Any = Elementwise(config)
    lookup: Any = LookupTable(config)
    m.submodules.path, m.submodules.table = path, lookup
    wiring.connect(m, path.table, lookup.read)
    results = Results()
    lanes, banks = config.lanes, config.banks
    groups = range(0, len(first), banks)
    base = 77

    async def watch(ctx: Any) -> None:
        cycle = 0
        word: Word = []
        while True:
            _, _, issue, place, *sums = await ctx.tick().sample(
                path.issue, path.place, *path.values, *path.biases
            )
            if issue and results.issued < 0:
                results.issued = cycle
            if place.mask:
                if results.delivered < 0:
                    results.delivered = cycle
                size = config.requant_lanes
                elements = [wrap32((sums[c] + sums[size + c]) >> 1) for c in range(size)]
                assert place.part == len(word) // size
                word += elements
                for q in range(config.requant_words):
                    if place.mask >> q & 1 and len(word) >= lanes:
                        results.addresses.append(place.address + q)
                        results.values.append(word[q * lanes : (q + 1) * lanes])
                results.lasts.append(place.last)
                if len(word) >= lanes:
                    word = []
            cycle += 1

    async def main(ctx: Any) -> None:
        ctx.set(lookup.write.valid, 1)
        for row in range(config.table_rows):
            ctx.set(lookup.write.row, row)
            ctx.set(lookup.write.data, pack(table[row * lanes : (row + 1) * lanes]))
            await ctx.tick()
        ctx.set(lookup.write.valid, 0)
        for name, value in settings.items():
            ctx.set(path.command[name], value)
        for start in groups:
            size = min(banks, len(first) - start)
            ctx.set(path.step.high, size)
            ctx.set(path.step.ofm_address, base + start)
            ctx.set(path.step.command_last, start == groups[-1])
            for j in range(banks):
                noise = [random.Random(j).randrange(256)] * lanes
                repeated = second if settings["ifm2_repeat"] else second[start:]
                ctx.set(path.head[j], pack(first[start + j] if j < size else noise))
                ctx.set(path.next[j], pack(repeated[j] if j < len(repeated) else noise))
            # the second window comes when it likes, behind the first
            await ctx.tick().repeat(start % 3 + 1)
            ctx.set(path.both_valid, 1)
            while not ctx.get(path.pop_both):
                await ctx.tick()
            await ctx.tick()
            ctx.set(path.both_valid, 0)
        while len(results.values) < len(first):
            await ctx.tick()

    simulate(m, main, [watch], 2000)
    assert results.addresses == list(range(base, base + len(first)))
    assert results.lasts == [0] * (len(results.lasts) - 1) + [1]
    return results


def expected(
    function: Function, c: dict[str, int], a: int, b: int, table: Word, rounding: str
) -> int:
    za, zb = c["ifm_zero_point"], c["ifm2_zero_point"]
    match function:
        case Function.ADD | Function.SUB:
            scales = [(c["operand_multiplier"], c["operand_right_shift"]), (1 << 30, 0)]
            first, second = reversed(scales) if c["scale_second"] else scales
            left, right = scale(a, za, *first, rounding), scale(b, zb, *second, rounding)
            return wrap32(left + right if function == Function.ADD else left - right)
        case Function.MUL:
            return (a - za) * (b - zb)
        case Function.MAXIMUM:
            return a if a >= b else b
        case Function.MINIMUM:
            return a if a <= b else b
        case Function.TABLE:
            return table[a % 256]


def draw(config: NpuConfig, rng: random.Random, words: int) -> list[Word]:
    """Words of random int8, extremes among them."""
    values = [-128, -127, -1, 0, 1, 127]
    return [
        [rng.choice([rng.choice(values), rng.randint(-128, 127)]) for _ in range(config.lanes)]
        for _ in range(words)
    ]


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize(("lanes", "requant_lanes"), [(4, 8), (4, 4), (8, 2), (16, 8)])
@pytest.mark.parametrize("function", Function)
def test_functions(function: Function, lanes: int, requant_lanes: int, seed: int) -> None:
    rng = random.Random(seed)
    for repeat, rounding in zip((0, 1, 0), ROUNDINGS, strict=True):
        config = replace(small_config(lanes, 8, rounding=rounding), requant_lanes=requant_lanes)
        words = rng.randint(config.banks + 1, 3 * config.banks)
        first = draw(config, rng, words)
        second = draw(config, rng, 1 if repeat else words)
        table = draw(config, rng, config.table_rows)
        entries = [entry for row in table for entry in row]
        settings = {
            "function": int(function),
            "ifm2_repeat": repeat,
            "scale_second": rng.randrange(2),
            "operand_multiplier": rng.choice([1 << 30, rng.randrange(1 << 31)]),
            "operand_right_shift": rng.choice([0, 1, 5, 31]),
        }
        for name in ("ifm", "ifm2"):
            settings[f"{name}_zero_point"] = rng.choice([-128, 127, rng.randint(-128, 127)])
        results = run(config, settings, first, second, entries)
        for i, word in enumerate(first):
            pairs = zip(word, second[0 if repeat else i], strict=True)
            wanted = [expected(function, settings, a, b, entries, rounding) for a, b in pairs]
            assert results.values[i] == wanted, (rounding, repeat, i)
        assert results.delivered - results.issued == Elementwise.LATENCY


def test_every_entry_of_the_table_in_every_lane() -> None:
    config = small_config(4, 8)
    entries = random.Random(5).sample(range(-128, 128), 256)
    values = list(range(-128, 128))
    first = [[values[(i + 64 * c) % 256] for c in range(4)] for i in range(256)]
    settings = {"function": int(Function.TABLE), "ifm2_repeat": 0}
    results = run(config, settings, first, first, entries)
    assert results.values == [[entries[value % 256] for value in word] for word in first]
