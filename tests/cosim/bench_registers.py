"""cocotb tests: the register map, interrupt and control. Started by `test_cosim`."""

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge

from rtl.isa import REGIONS, Opcode
from rtl.registers import (
    DEFAULT_TIMEOUT,
    ID_VALUE,
    TIMEOUT_BITS,
    Control,
    ErrorCode,
    Event,
    Register,
    Status,
    event_counter,
    region_base,
    region_size,
)
from tests.cosim.bench import Bench
from tests.cosim.simulation import CONFIG

ADDRESSES = 1 << 12
WORD = (1 << 32) - 1

WRITABLE = {
    Register.COMMAND_BASE: WORD & ~7,
    Register.COMMAND_BYTES: WORD & ~7,
    **{region_base(number): WORD for number in range(REGIONS)},
    **{region_size(number): WORD for number in range(REGIONS)},
    Register.BUS_TIMEOUT: (1 << TIMEOUT_BITS) - 1,
    Register.BUS_ATTRIBUTES: (1 << 11) - 1,
    Register.IRQ_ENABLE: 1,
}
"""Registers that keep what is written, with the bits that exist."""

READ_ONLY = {
    Register.ID: ID_VALUE,
    Register.CONFIG_ID: CONFIG.config_id,
    Register.STATUS: 0,
    Register.ERROR_CODE: 0,
    Register.ERROR_COMMAND: 0,
    **{event_counter(event): 0 for event in Event},
}
"""Registers that do not, with their values after a reset."""


@cocotb.test()
async def register_map(dut: Any) -> None:
    """Every address of the map: reset value, writes of all ones, zeros, random words and bytes."""
    bench = Bench(dut, CONFIG)
    await bench.start(0.1)
    expected = {**READ_ONLY, **dict.fromkeys(WRITABLE, 0)}
    expected[Register.BUS_TIMEOUT] = DEFAULT_TIMEOUT

    async def check() -> None:
        for address, value in expected.items():
            assert await bench.read(address) == value, hex(address)

    await check()
    order = [*WRITABLE, *READ_ONLY]
    for value in (WORD, 0, None, None):
        bench.rng.shuffle(order)
        for address in order:
            word = bench.rng.getrandbits(32) if value is None else value
            await bench.write(address, word)
            if address in WRITABLE:
                expected[address] = word & WRITABLE[address]
        await check()
    for _ in range(100):
        address = bench.rng.choice(order)
        lane = bench.rng.randrange(4)
        count = bench.rng.randint(1, 4 - lane)
        raw = bench.rng.randbytes(count)
        await bench.axil.write(address + lane, raw)
        if address in WRITABLE:
            whole = bytearray(expected[address].to_bytes(4, "little"))
            whole[lane : lane + count] = raw
            expected[address] = int.from_bytes(whole, "little") & WRITABLE[address]
    await check()


@cocotb.test()
async def unmapped_addresses(dut: Any) -> None:
    """Whatever is not in the map reads zero, ignores writes and is answered with OKAY."""
    bench = Bench(dut, CONFIG)
    await bench.start()
    mapped = {**WRITABLE, **READ_ONLY, Register.CONTROL: 0}
    unmapped = [address for address in range(0, ADDRESSES, 4) if address not in mapped]
    for address in WRITABLE:
        await bench.write(address, 0x5A5A5A58)
    for address in unmapped:
        response = await bench.axil.write(address, WORD.to_bytes(4, "little"))
        assert response.resp == 0, hex(address)
    for address in unmapped:
        answer = await bench.axil.read(address, 4)
        assert answer.resp == 0, hex(address)
        assert bytes(answer.data) == bytes(4), hex(address)
    for address, bits in WRITABLE.items():
        assert await bench.read(address) == 0x5A5A5A58 & bits, hex(address)
    assert await bench.read(Register.CONTROL) == 0


@cocotb.test()
async def interrupt(dut: Any) -> None:
    """Pending and enabled apart from each other; CLEAR_IRQ, RESET and START clear it."""
    bench = Bench(dut, CONFIG)
    await bench.start(0.1)
    job = bench.random_job((Opcode.LOAD,))

    async def run_masked() -> None:
        await bench.configure(job)
        await bench.write(Register.IRQ_ENABLE, 0)
        await bench.write(Register.CONTROL, Control.START)
        while await bench.status() & Status.BUSY:
            assert not int(dut.irq.value)
        assert await bench.status() == Status.DONE | Status.IRQ
        assert not int(dut.irq.value)

    await run_masked()
    for enable in (1, 0, 1):
        await bench.write(Register.IRQ_ENABLE, enable)
        await ClockCycles(dut.clk, 1)
        assert int(dut.irq.value) == enable
    await bench.write(Register.CONTROL, Control.CLEAR_IRQ)
    await ClockCycles(dut.clk, 1)
    assert not int(dut.irq.value)
    assert await bench.status() == Status.DONE
    bench.check_arena(job)

    await run_masked()
    await bench.write(Register.CONTROL, Control.RESET)
    await ClockCycles(dut.clk, 2)
    assert await bench.status() == 0
    await bench.write(Register.IRQ_ENABLE, 1)
    await ClockCycles(dut.clk, 2)
    assert not int(dut.irq.value)

    # a start clears the interrupt of the run before; the run raises it again
    await bench.run(job)
    assert int(dut.irq.value)
    cocotb.start_soon(bench.write(Register.CONTROL, Control.START))
    await FallingEdge(dut.irq)
    await bench.wait()
    await bench.check_done(job)


@cocotb.test()
async def reset_bit(dut: Any) -> None:
    """RESET clears errors, interrupt and counters, and nothing that the driver wrote."""
    bench = Bench(dut, CONFIG)
    await bench.start(0.1)
    job = bench.random_job((Opcode.LOAD,))
    await bench.run(bench.spoil(job, 2, 0))
    assert await bench.status() == Status.ERROR | Status.IRQ
    assert await bench.read(Register.ERROR_CODE) == ErrorCode.ILLEGAL_OPCODE
    assert await bench.read(Register.ERROR_COMMAND) == 1
    assert await bench.read(event_counter(Event.CYCLES)) > 0
    await bench.configure(job)
    kept = {address: await bench.read(address) for address in WRITABLE}
    await bench.write(Register.CONTROL, Control.RESET)
    for address, value in READ_ONLY.items():
        assert await bench.read(address) == value, hex(address)
    for address, value in kept.items():
        assert await bench.read(address) == value, hex(address)
    assert not int(dut.irq.value)
    await bench.write(Register.CONTROL, Control.START)
    await bench.wait()
    await bench.check_done(job)


@cocotb.test()
async def busy_registers(dut: Any) -> None:
    """While the NPU is busy, START, RESET and writes to its bases and sizes are ignored."""
    bench = Bench(dut, CONFIG)
    await bench.start()
    job = bench.random_job((Opcode.MAX_POOL,), size=2)
    await bench.configure(job)
    await bench.write(Register.IRQ_ENABLE, 1)
    protected = {address: bits for address, bits in WRITABLE.items() if bits > 1}
    kept = {address: await bench.read(address) for address in protected}
    # nothing ends while the memory does not answer
    bench.axi.read_if.r_channel.pause = True
    await bench.write(Register.CONTROL, Control.START)
    assert await bench.status() == Status.BUSY
    cycles = await bench.read(event_counter(Event.CYCLES))
    for address in protected:
        await bench.write(address, bench.rng.getrandbits(32))
    for control in (Control.START, Control.RESET, Control.CLEAR_IRQ, Control(WORD & 7)):
        await bench.write(Register.CONTROL, control)
        assert await bench.status() == Status.BUSY
        later = await bench.read(event_counter(Event.CYCLES))
        assert later > cycles
        cycles = later
    for address, value in kept.items():
        assert await bench.read(address) == value, hex(address)
    bench.axi.read_if.r_channel.pause = False
    await bench.wait()
    await bench.check_done(job)
