"""Scratchpad and buffers against arrays, with requests that come when they like."""

import random
from dataclasses import replace
from typing import Any

import pytest

from rtl.buffers import ParameterBuffer, WeightBuffer
from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.scratchpad import Scratchpad
from tests.rtl.bench import SMALL, simulate, small_config


def _config(requant_lanes: int) -> NpuConfig:
    return NpuConfig(
        pixels=2,
        channels=2,
        lanes=4,
        accumulator_depth=4,
        requant_lanes=requant_lanes,
        scratchpad_kib=4,
        weight_buffer_kib=1,
        parameter_channels=32,
    )


DECODING = replace(SMALL, masked_weights=True)


@pytest.mark.parametrize("requant_lanes", [1, 4, 8])
def test_scratchpad(requant_lanes: int) -> None:
    config = _config(requant_lanes)
    dut: Any = Scratchpad(config)
    rng = random.Random(requant_lanes)
    lanes, words = config.lanes, 32
    held = [bytearray(lanes) for _ in range(words)]
    waited = {"store": 0, "load": 0, "fetch": 0}

    async def main(ctx: Any) -> None:
        # what is seen in the next cycles; the window's address is given before
        shown: list[int] | None = None
        fetched = stored = None
        kept, before = 0, set(range(words))
        for _ in range(600):
            fetch, store, load = (rng.random() < 0.7 for _ in range(3))
            mask = rng.randrange(1 << config.requant_words)
            at = {name: rng.randrange(words - config.banks) for name in ("fetch", "store", "load")}
            output = rng.randrange(words - config.requant_words)
            data = [rng.randbytes(lanes) for _ in range(config.requant_words)]
            enable = rng.choice([(1 << lanes) - 1, rng.randrange(1 << lanes)])
            word, bytes_ = rng.randbytes(lanes), rng.randrange(1 << lanes)
            # no program reads where it writes or has just written, and none writes twice
            written = {output + q for q in range(config.requant_words) if mask >> q & 1}
            if load and at["load"] in written:
                load = False
            written |= {at["load"]} if load else set()
            fetch = fetch and not (written | before) & set(range(kept, kept + config.banks))
            store = store and at["store"] not in written | before
            before = written
            for port, valid in ((dut.fetch, fetch), (dut.store, store), (dut.load, load)):
                ctx.set(port.valid, valid)
            ctx.set(dut.fetch.waiting, fetch)
            # another address is kept, in the next cycle
            prepare = rng.random() < 0.8
            ctx.set(dut.fetch.prepare, prepare)
            for name, address in at.items():
                ctx.set(getattr(dut, name).address, address)
            ctx.set(dut.load.data, int.from_bytes(word, "little"))
            ctx.set(dut.load.enable, bytes_)
            ctx.set(dut.output.mask, mask)
            ctx.set(dut.output.address, output)
            ctx.set(dut.output.enable, enable)
            for target, value in zip(dut.output.words, data, strict=True):
                ctx.set(target, int.from_bytes(value, "little"))
            ready = {
                name: bool(ctx.get(getattr(dut, name).ready)) for name in ("fetch", "store", "load")
            }
            if fetch and store:
                assert ready["fetch"] != ready["store"]
            elif fetch or store:
                assert ready["fetch"] or not fetch
            if shown is not None:
                got = [ctx.get(value) for value in dut.fetch.words]
                assert got == shown
            if stored is not None:
                assert ctx.get(dut.store.data) == stored
            banks = {
                (output + q) % config.banks for q in range(config.requant_words) if mask >> q & 1
            }
            assert ready["load"] == (at["load"] % config.banks not in banks)
            for name, valid in (("fetch", fetch), ("store", store), ("load", load)):
                waited[name] += valid and not ready[name]
            # it stays until the next one
            shown = shown if fetched is None else fetched
            fetched = stored = None
            if fetch and ready["fetch"]:
                window = held[kept : kept + config.banks]
                fetched = [int.from_bytes(value, "little") for value in window]
            if store and ready["store"]:
                stored = int.from_bytes(held[at["store"]], "little")
            for q, value in enumerate(data):
                for lane in range(lanes):
                    if mask >> q & 1 and enable >> lane & 1:
                        held[output + q][lane] = value[lane]
            for lane in range(lanes):
                if load and ready["load"] and bytes_ >> lane & 1:
                    held[at["load"]][lane] = word[lane]
            kept = at["fetch"] if prepare else kept
            await ctx.tick()

    simulate(dut, main, [], 700)
    # each has had to wait for another
    assert min(waited.values()) > 10, waited


def test_reads_of_words_and_windows_alternate() -> None:
    dut: Any = Scratchpad(small_config(4, 8))
    granted: list[str] = []

    async def main(ctx: Any) -> None:
        for asked in ("store", "store", "both", "both", "both", "both", "fetch", "fetch"):
            ctx.set(dut.store.valid, asked != "fetch")
            ctx.set(dut.fetch.valid, asked != "store")
            storing = asked != "fetch" and ctx.get(dut.store.ready)
            fetching = asked != "store" and ctx.get(dut.fetch.ready)
            granted.append("s" * storing + "f" * fetching)
            await ctx.tick()

    simulate(dut, main, [], 20)
    assert "".join(granted) == "sssfsfff"


@pytest.mark.parametrize("config", [_config(4), DECODING], ids=["one unit", "two units"])
def test_weights(config: NpuConfig) -> None:
    dut: Any = WeightBuffer(config)
    rng = random.Random(1)
    ports = config.weight_ports
    units = [rng.randbytes(config.lanes) for _ in range(config.weight_words * config.channels)]

    async def main(ctx: Any) -> None:
        for address, unit in rng.sample(list(enumerate(units)), len(units)):
            place = address % ports
            # the neighbour is written at the same time, or not at all
            whole = rng.random() < 0.5
            ctx.set(dut.write.enable, (1 << ports) - 1 if whole else 1 << place)
            ctx.set(dut.write.address, address - place if whole else address)
            for k, data in enumerate(dut.write.data):
                written = units[address - place + k] if whole else unit
                ctx.set(data, int.from_bytes(written, "little"))
            await ctx.tick()
        ctx.set(dut.write.enable, 0)
        word = 0
        for _ in range(200):
            enable, address = rng.randrange(2), rng.randrange(config.weight_words)
            ctx.set(dut.enable, enable)
            ctx.set(dut.address, address)
            await ctx.tick()
            if enable:
                word = address
            own = units[word * config.channels :][: config.channels]
            if enable:
                got = [ctx.get(column) for column in dut.columns]
                assert got == [int.from_bytes(unit, "little") for unit in own]

    simulate(dut, main, [], 2000)


@pytest.mark.parametrize("requant_lanes", [1, 2, 4, 8])
def test_parameters(requant_lanes: int) -> None:
    config = _config(requant_lanes)
    dut: Any = ParameterBuffer(config)
    rng = random.Random(requant_lanes)
    lanes, blocks = config.lanes, config.parameter_blocks
    planes: dict[tuple[int, int], bytes] = {}
    # as LOADs bring them: whole blocks or biases alone, the last one perhaps in part
    runs = [(0, PARAMETER_BYTES, blocks * PARAMETER_BYTES)]
    for _ in range(20):
        first, period = rng.randrange(blocks), rng.choice([BIAS_BYTES, PARAMETER_BYTES])
        runs.append((first, period, rng.randint(1, min(12, (blocks - first) * period))))

    async def main(ctx: Any) -> None:
        for first, period, units in runs:
            ctx.set(dut.write.valid, 1)
            for unit in range(units):
                block, plane = first + unit // period, unit % period
                planes[block, plane] = data = rng.randbytes(lanes)
                ctx.set(dut.write.block, block)
                ctx.set(dut.write.plane, plane)
                ctx.set(dut.write.data, int.from_bytes(data, "little"))
                await ctx.tick()
            ctx.set(dut.write.valid, 0)
            ctx.set(dut.write.plane, rng.randrange(PARAMETER_BYTES))
            await ctx.tick()
        ctx.set(dut.enable, 1)
        for block in range(blocks):
            for part in range(config.requant_parts):
                ctx.set(dut.address, block)
                ctx.set(dut.part, part)
                await ctx.tick().repeat(2)
                for c in range(config.parameter_lanes):
                    lane = part * config.parameter_lanes + c
                    raw = bytes(planes[block, p][lane] for p in range(PARAMETER_BYTES))
                    got = dut.channels
                    assert ctx.get(got.biases[c]) == int.from_bytes(raw[:4], "little", signed=True)
                    assert ctx.get(got.multipliers[c]) == int.from_bytes(raw[4:8], "little")
                    assert ctx.get(got.shifts[c]) == int.from_bytes(raw[8:], "little", signed=True)

    simulate(dut, main, [], 1000)
