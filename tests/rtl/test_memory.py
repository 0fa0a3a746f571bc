"""The memories' wrappers against arrays, and what they are called in Verilog."""

import random
import re
from typing import Any

import pytest

from rtl.memory import Memory, Registers
from rtl.verilog import verilog_text
from tests.rtl.bench import simulate
from tests.sim.configs import SMALL


@pytest.mark.parametrize("single_port", [False, True])
@pytest.mark.parametrize("granularity", [None, 8])
def test_memory(granularity: int | None, single_port: bool) -> None:
    dut = Memory(16, 8, granularity=granularity, single_port=single_port)
    rng = random.Random(3)
    held = [0] * 8
    enables = 2 if granularity else 1

    async def main(ctx: Any) -> None:
        expected: int | None = None
        for cycle in range(300):
            # everything is written once before it is read
            write = (1 << enables) - 1 if cycle < 8 else rng.randrange(1 << enables)
            target = cycle if cycle < 8 else rng.randrange(8)
            source, value = rng.randrange(8), rng.getrandbits(16)
            read = cycle >= 8 and rng.random() < 0.7
            ctx.set(dut.write_enable, write)
            ctx.set(dut.write_address, target)
            ctx.set(dut.write_data, value)
            ctx.set(dut.read_enable, read)
            ctx.set(dut.read_address, source)
            await ctx.tick()
            if read and write and (single_port or source == target):
                expected = None
            elif read:
                expected = held[source]
            mask = 0xFFFF if enables == 1 else (write & 1) * 0xFF | (write >> 1) * 0xFF00
            if write:
                held[target] = held[target] & ~mask | value & mask
            if expected is not None:
                assert ctx.get(dut.read_data) == expected, cycle

    simulate(dut, main, [], 400)


@pytest.mark.parametrize("reads", [1, 3])
def test_registers(reads: int) -> None:
    dut = Registers(16, 8, granularity=8, reads=reads)
    rng = random.Random(reads)
    held = [0] * 8

    async def main(ctx: Any) -> None:
        for cycle in range(200):
            write = 3 if cycle < 8 else rng.randrange(4)
            target = cycle if cycle < 8 else rng.randrange(8)
            value = rng.getrandbits(16)
            ctx.set(dut.write_enable, write)
            ctx.set(dut.write_address, target)
            ctx.set(dut.write_data, value)
            await ctx.tick()
            mask = (write & 1) * 0xFF | (write >> 1) * 0xFF00
            held[target] = held[target] & ~mask | value & mask
            for port in range(reads):
                address = rng.randrange(8)
                ctx.set(dut.read_address[port], address)
                if cycle >= 8:
                    assert ctx.get(dut.read_data[port]) == held[address]

    simulate(dut, main, [], 300)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [verilog_text(SMALL), verilog_text(SMALL, flat=True)]


def test_every_memory_is_a_module_named_by_its_shape(texts: list[str]) -> None:
    for text in texts:
        modules = dict(re.findall(r"^module (\w+)(.*?)^endmodule", text, re.M | re.S))
        arrays = {
            name
            for name, body in modules.items()
            if re.search(r"^ *reg [^;]*\w+ \[\d+:0\];", body, re.M)
        }
        accumulators = {name for name in arrays if "accumulators" in name or name == "npu"}
        for name in arrays - accumulators:
            assert re.fullmatch(r"npu_(memory|registers)_\d+x\d+(_by\d+)?(_sp|_r\d)?", name)
        assert f"npu_memory_{SMALL.bank_depth}x{8 * SMALL.lanes}_by8" in arrays


def test_flat_is_one_module_beside_the_memories(texts: list[str]) -> None:
    hierarchical, flat = (set(re.findall(r"^module (\w+)", text, re.M)) for text in texts)
    memories = {name for name in hierarchical if re.match(r"npu_(memory|registers)_", name)}
    assert flat == memories | {"npu"}
    assert len(hierarchical) > len(flat) + 20
