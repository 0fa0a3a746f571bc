"""Parts of the testbenches: an AXI4 memory, stream sources and sinks, cycle limits."""

import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from amaranth.hdl import Elaboratable
from amaranth.sim import Simulator

from rtl.axi import BOUNDARY_BYTES, Burst, Response
from rtl.config import NpuConfig
from rtl.isa import Command

SMALL = NpuConfig(
    pixels=2,
    channels=2,
    lanes=8,
    accumulator_depth=4,
    requant_lanes=8,
    scratchpad_kib=4,
    weight_buffer_kib=1,
    parameter_channels=64,
    burst_beats=16,
)

Testbench = Callable[[Any], Awaitable[None]]


def simulate(dut: Elaboratable, main: Testbench, background: list[Testbench], limit: int) -> None:
    """Run `main` beside the `background` testbenches; fail after `limit` cycles."""

    async def watchdog(ctx: Any) -> None:
        # not `repeat` and `until`: Amaranth 0.5 warns when a test ends while they are pending
        for _ in range(limit):
            await ctx.tick()
        raise AssertionError(f"still running after {limit} cycles")

    simulator: Any = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(main)
    for testbench in [*background, watchdog]:
        simulator.add_testbench(testbench, background=True)
    simulator.run()


def small_config(lanes: int, bus_bytes: int, **changes: Any) -> NpuConfig:
    """The smallest NPU with these bus and word widths."""
    return replace(
        SMALL,
        lanes=lanes,
        channels=2,
        accumulator_depth=lanes,
        requant_lanes=lanes,
        bus_bytes=bus_bytes,
        **changes,
    )


def changed(command: Command, **fields: int) -> Command:
    """The command with some fields replaced."""
    return Command(command.opcode, command.fields | fields)


class AxiMemory:
    """An AXI4 subordinate that answers in order.

    Parameters
    ----------
    size : bytes, from bus address `base`; anything outside is an assertion failure.
    bus_bytes, burst_beats : of the manager; longer bursts are an assertion failure.
    latency : cycles from an address handshake (for writes: the last data beat) to the answer.
    pause : probability that a channel stalls in a cycle.
    """

    def __init__(
        self,
        size: int,
        bus_bytes: int,
        burst_beats: int,
        *,
        base: int = 0,
        latency: int = 1,
        pause: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.random = random.Random(seed)
        self.data = bytearray(self.random.randbytes(size))
        self.base = base
        self.bus_bytes = bus_bytes
        self.burst_beats = burst_beats
        self.latency = latency
        self.pause = pause
        self.bad_addresses: set[int] = set()
        self.cycle = 0
        self.read_beats: list[int] = []
        self.outstanding = 0
        self.most_outstanding = 0
        self.written: set[int] = set()

    def _go(self) -> bool:
        return self.random.random() >= self.pause

    def _check_burst(self, address: int, length: int, size: int, burst: Any) -> int:
        beats = length + 1
        last = address + beats * self.bus_bytes - 1
        assert 1 << size == self.bus_bytes
        assert Burst(burst) == Burst.INCR
        assert address % self.bus_bytes == 0, hex(address)
        assert address // BOUNDARY_BYTES == last // BOUNDARY_BYTES, hex(address)
        assert beats <= self.burst_beats
        assert self.base <= address <= last < self.base + len(self.data), hex(address)
        return beats

    def _response(self, address: int) -> Response:
        bad = any(address <= bad < address + self.bus_bytes for bad in self.bad_addresses)
        return Response.SLVERR if bad else Response.OKAY

    async def reads(self, ctx: Any, axi: Any) -> None:
        """Serve the read channels for ever."""
        queue: deque[tuple[int, int, bool]] = deque()
        while True:
            ctx.set(axi.arready, self._go())
            offered = bool(queue) and queue[0][0] <= self.cycle and self._go()
            if offered:
                _, address, last = queue[0]
                start = address - self.base
                beat = self.data[start : start + self.bus_bytes]
                ctx.set(axi.rdata, int.from_bytes(beat, "little"))
                ctx.set(axi.rresp, self._response(address))
                ctx.set(axi.rlast, last)
            ctx.set(axi.rvalid, offered)
            while True:
                (
                    _,
                    _,
                    arvalid,
                    arready,
                    address,
                    length,
                    size,
                    burst,
                    rready,
                ) = await ctx.tick().sample(
                    axi.arvalid,
                    axi.arready,
                    axi.araddr,
                    axi.arlen,
                    axi.arsize,
                    axi.arburst,
                    axi.rready,
                )
                self.cycle += 1
                if arvalid and arready:
                    beats = self._check_burst(address, length, size, burst)
                    due = self.cycle - 1 + self.latency
                    for number in range(beats):
                        last = number == beats - 1
                        queue.append((due, address + number * self.bus_bytes, last))
                    self.outstanding += 1
                    self.most_outstanding = max(self.outstanding, self.most_outstanding)
                if offered and rready:
                    self.read_beats.append(self.cycle - 1)
                    self.outstanding -= queue.popleft()[2]
                    offered = False
                if not offered:
                    break
                # a beat that was offered stays; only the address channel may pause
                ctx.set(axi.arready, self._go())

    async def writes(self, ctx: Any, axi: Any) -> None:
        """Serve the write channels for ever."""
        cycle = 0
        addresses: deque[tuple[int, int]] = deque()
        answers: deque[tuple[int, Response]] = deque()
        beat = 0
        response = Response.OKAY
        offered = False
        while True:
            wready = bool(addresses) and self._go()
            ctx.set(axi.awready, self._go())
            ctx.set(axi.wready, wready)
            if not offered and answers and answers[0][0] <= cycle and self._go():
                offered = True
                ctx.set(axi.bresp, answers[0][1])
            ctx.set(axi.bvalid, offered)
            _, _, *sampled = await ctx.tick().sample(
                axi.awvalid,
                axi.awready,
                axi.awaddr,
                axi.awlen,
                axi.awsize,
                axi.awburst,
                axi.wvalid,
                axi.wdata,
                axi.wstrb,
                axi.wlast,
                axi.bready,
            )
            awvalid, awready, address, length, size, burst, wvalid, wdata, wstrb, last, bready = (
                sampled
            )
            cycle += 1
            if wvalid and wready:
                start, beats = addresses[0]
                self._write_beat(start + beat * self.bus_bytes, wdata, wstrb)
                if self._response(start + beat * self.bus_bytes) != Response.OKAY:
                    response = Response.SLVERR
                beat += 1
                assert bool(last) == (beat == beats)
                if last:
                    addresses.popleft()
                    answers.append((cycle - 1 + self.latency, response))
                    beat, response = 0, Response.OKAY
            if awvalid and awready:
                addresses.append((address, self._check_burst(address, length, size, burst)))
                self.outstanding += 1
                self.most_outstanding = max(self.outstanding, self.most_outstanding)
            if offered and bready:
                answers.popleft()
                offered = False
                self.outstanding -= 1

    def _write_beat(self, address: int, wdata: int, wstrb: int) -> None:
        for lane, byte in enumerate(wdata.to_bytes(self.bus_bytes, "little")):
            if wstrb >> lane & 1:
                self.data[address - self.base + lane] = byte
                self.written.add(address + lane)


async def send(
    ctx: Any, stream: Any, items: Sequence[Any], rng: random.Random, pause: float = 0.0
) -> None:
    """Send items into a stream, with pauses between them."""
    for item in items:
        while rng.random() < pause:
            await ctx.tick()
        ctx.set(stream.payload, item)
        ctx.set(stream.valid, 1)
        ready = False
        while not ready:
            _, _, ready = await ctx.tick().sample(stream.ready)
        ctx.set(stream.valid, 0)


async def receive(
    ctx: Any, stream: Any, count: int, rng: random.Random, pause: float = 0.0
) -> list[Any]:
    """Take `count` items out of a stream, with pauses between them."""
    items: list[Any] = []
    while len(items) < count:
        while rng.random() < pause:
            await ctx.tick()
        ctx.set(stream.ready, 1)
        valid = False
        while not valid:
            _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        items.append(payload)
        ctx.set(stream.ready, 0)
    return items
