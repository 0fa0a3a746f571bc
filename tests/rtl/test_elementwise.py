"""The elementwise path and the lookup table against integer formulas."""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from rtl.buffers import LookupTable
from rtl.config import ROUNDINGS, NpuConfig
from rtl.elementwise import Elementwise
from rtl.isa import Function
from rtl.operand_scaler import OperandScaler
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
        while True:
            _, _, issue, valid, address, last, *sums = await ctx.tick().sample(
                path.issue, path.valid, path.address, path.last, *path.values, *path.biases
            )
            if issue and results.issued < 0:
                results.issued = cycle
            if valid:
                if results.delivered < 0:
                    results.delivered = cycle
                results.addresses.append(address)
                results.lasts.append(last)
                results.values.append([wrap32(sums[c] + sums[lanes + c]) for c in range(lanes)])
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
        ctx.set(path.enable, 1)
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
            ctx.set(path.both_valid, 1)
            while not ctx.get(path.pop_both):
                await ctx.tick()
            await ctx.tick()
            ctx.set(path.both_valid, 0)
            # windows come when they like
            await ctx.tick().repeat(start % 3 + 1)
        while len(results.values) < len(first):
            await ctx.tick()

    simulate(m, main, [watch], 2000)
    assert results.addresses == list(range(base, base + len(first)))
    assert results.lasts == [0] * (len(first) - 1) + [1]
    return results


def expected(
    function: Function, c: dict[str, int], a: int, b: int, table: Word, rounding: str
) -> int:
    za, zb = c["ifm_zero_point"], c["ifm2_zero_point"]
    match function:
        case Function.ADD | Function.SUB:
            left = scale(a, za, c["ifm_multiplier"], c["ifm_right_shift"], rounding)
            right = scale(b, zb, c["ifm2_multiplier"], c["ifm2_right_shift"], rounding)
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
@pytest.mark.parametrize("lanes", [4, 16])
@pytest.mark.parametrize("function", Function)
def test_functions(function: Function, lanes: int, seed: int) -> None:
    rng = random.Random(seed)
    for repeat, rounding in zip((0, 1, 0), ROUNDINGS, strict=True):
        config = small_config(lanes, 8, rounding=rounding)
        words = rng.randint(config.banks + 1, 3 * config.banks)
        first = draw(config, rng, words)
        second = draw(config, rng, 1 if repeat else words)
        table = draw(config, rng, config.table_rows)
        entries = [entry for row in table for entry in row]
        settings = {"function": int(function), "ifm2_repeat": repeat}
        for name in ("ifm", "ifm2"):
            settings[f"{name}_zero_point"] = rng.choice([-128, 127, rng.randint(-128, 127)])
            settings[f"{name}_multiplier"] = rng.choice([1 << 30, rng.randrange(1 << 30, 1 << 31)])
            settings[f"{name}_right_shift"] = rng.choice([0, 1, 5, 31])
        results = run(config, settings, first, second, entries)
        for i, word in enumerate(first):
            pairs = zip(word, second[0 if repeat else i], strict=True)
            wanted = [expected(function, settings, a, b, entries, rounding) for a, b in pairs]
            assert results.values[i] == wanted, (rounding, repeat, i)
        assert results.delivered - results.issued == OperandScaler.LATENCY + 1


def test_every_entry_of_the_table_in_every_lane() -> None:
    config = small_config(4, 8)
    entries = random.Random(5).sample(range(-128, 128), 256)
    values = list(range(-128, 128))
    first = [[values[(i + 64 * c) % 256] for c in range(4)] for i in range(256)]
    settings = {"function": int(Function.TABLE), "ifm2_repeat": 0}
    results = run(config, settings, first, first, entries)
    assert results.values == [[entries[value % 256] for value in word] for word in first]
