"""Parts of the testbenches: an AXI4 memory, stream sources and sinks, cycle limits."""

import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
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


@dataclass
class _Burst:
    """A write burst whose address was taken."""

    address: int
    beats: int


class AxiMemory:
    """An AXI4 subordinate that answers in order.

    Parameters
    ----------
    size : bytes, from bus address `base`; anything outside is an assertion failure.
    bus_bytes, burst_beats : of the manager; longer bursts are an assertion failure.
    latency : cycles from an address handshake (for writes: the last data beat) to the answer.
    pause : probability that a channel stalls in a cycle.
    handshake : one of `HANDSHAKES`.
    response : the answer at `bad_addresses`.
    """

    HANDSHAKES = (
        "eager",
        "after_valid",
        "address_first",
        "data_first",
        "together",
        "one_at_a_time",
    )
    """When READY rises: all that AXI allows; what they mean is said in `sim.memory`."""

    def __init__(
        self,
        size: int,
        bus_bytes: int,
        burst_beats: int,
        *,
        base: int = 0,
        latency: int = 1,
        pause: float = 0.0,
        handshake: str = "eager",
        response: Response = Response.SLVERR,
        seed: int = 0,
    ) -> None:
        assert handshake in self.HANDSHAKES, handshake
        self.random = random.Random(seed)
        self.data = bytearray(self.random.randbytes(size))
        self.base = base
        self.bus_bytes = bus_bytes
        self.burst_beats = burst_beats
        self.latency = latency
        self.pause = pause
        self.handshake = handshake
        self.response = response
        self.bad_addresses: set[int] = set()
        self.silent: set[str] = set()
        """Channels that do nothing: "AR", "R", "AW", "W", "B"."""
        self.unanswered: set[int] = set()
        """Addresses of beats that are not delivered."""
        self.cycle = 0
        self.read_beats: list[int] = []
        self.reads_unanswered = 0
        self.writes_unanswered = 0
        self.most_outstanding = 0
        self.written: set[int] = set()

    @property
    def outstanding(self) -> int:
        return self.reads_unanswered + self.writes_unanswered

    def _go(self, channel: str) -> bool:
        return channel not in self.silent and self.random.random() >= self.pause

    def _note(self) -> None:
        self.most_outstanding = max(self.outstanding, self.most_outstanding)

    def _check_burst(self, address: int, length: int, size: int, burst: Any) -> int:
        beats = length + 1
        last = address + beats * self.bus_bytes - 1
        assert 1 << size == self.bus_bytes, f"beats of {1 << size} bytes on {self.bus_bytes}"
        assert Burst(burst) == Burst.INCR, f"burst type {burst}"
        assert address % self.bus_bytes == 0, f"address {address:#x} is not aligned"
        assert address // BOUNDARY_BYTES == last // BOUNDARY_BYTES, (
            f"burst of {beats} beats at {address:#x} crosses a 4 KiB boundary"
        )
        assert beats <= self.burst_beats, f"burst of {beats} beats, allowed are {self.burst_beats}"
        inside = self.base <= address <= last < self.base + len(self.data)
        assert inside, f"burst at {address:#x} to {last:#x} is outside the memory"
        return beats

    def _response(self, address: int) -> Response:
        bad = any(address <= bad < address + self.bus_bytes for bad in self.bad_addresses)
        return self.response if bad else Response.OKAY

    async def reads(self, ctx: Any, axi: Any) -> None:
        """Serve the read channels for ever."""
        queue: deque[tuple[int, int, bool]] = deque()
        offered = waited = False
        while True:
            ready = self._go("AR")
            if self.handshake == "after_valid":
                ready = ready and waited
            elif self.handshake == "one_at_a_time":
                ready = ready and not queue
            ctx.set(axi.arready, ready)
            # a beat that was offered stays
            arrived = (
                bool(queue) and queue[0][0] <= self.cycle and queue[0][1] not in self.unanswered
            )
            if not offered and arrived and self._go("R"):
                offered = True
                _, address, last = queue[0]
                start = address - self.base
                beat = self.data[start : start + self.bus_bytes]
                ctx.set(axi.rdata, int.from_bytes(beat, "little"))
                ctx.set(axi.rresp, self._response(address))
                ctx.set(axi.rlast, last)
            ctx.set(axi.rvalid, offered)
            _, _, arvalid, address, length, size, burst, rready = await ctx.tick().sample(
                axi.arvalid, axi.araddr, axi.arlen, axi.arsize, axi.arburst, axi.rready
            )
            self.cycle += 1
            waited = bool(arvalid) and not ready
            if arvalid and ready:
                beats = self._check_burst(address, length, size, burst)
                due = self.cycle - 1 + self.latency
                for number in range(beats):
                    queue.append((due, address + number * self.bus_bytes, number == beats - 1))
                self.reads_unanswered += 1
                self._note()
            if offered and rready:
                self.read_beats.append(self.cycle - 1)
                self.reads_unanswered -= queue.popleft()[2]
                offered = False

    async def writes(self, ctx: Any, axi: Any) -> None:
        """Serve the write channels for ever."""
        cycle = 0
        addresses: deque[_Burst] = deque()
        beats: deque[tuple[int, int, bool]] = deque()
        answers: deque[tuple[int, Response]] = deque()
        response = Response.OKAY
        offered = address_waited = data_waited = False
        while True:
            awready, wready = self._go("AW"), self._go("W")
            if self.handshake == "after_valid":
                awready, wready = awready & address_waited, wready & data_waited
            elif self.handshake == "address_first":
                wready &= bool(addresses)
            elif self.handshake == "data_first":
                awready &= any(last for _, _, last in beats)
            elif self.handshake == "together":
                both = not addresses and bool(ctx.get(axi.awvalid) and ctx.get(axi.wvalid))
                awready, wready = both, both or (wready and bool(addresses))
            elif self.handshake == "one_at_a_time":
                awready &= self.writes_unanswered == 0
            ctx.set(axi.awready, awready)
            ctx.set(axi.wready, wready)
            due = bool(answers) and answers[0][0] <= cycle
            if not offered and due and self._go("B"):
                offered = True
                ctx.set(axi.bresp, answers[0][1])
            ctx.set(axi.bvalid, offered)
            _, _, awvalid, *burst, wvalid, wdata, wstrb, last, bready = await ctx.tick().sample(
                axi.awvalid,
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
            cycle += 1
            address_waited, data_waited = awvalid and not awready, wvalid and not wready
            if awvalid and awready:
                addresses.append(_Burst(burst[0], self._check_burst(*burst)))
                self.writes_unanswered += 1
                self._note()
            if wvalid and wready:
                beats.append((wdata, wstrb, bool(last)))
            while addresses and beats:
                write = addresses[0]
                data, strobe, ends = beats.popleft()
                self._write_beat(write.address, data, strobe)
                if self._response(write.address) != Response.OKAY:
                    response = self.response
                write.address += self.bus_bytes
                write.beats -= 1
                assert ends == (write.beats == 0)
                if ends:
                    addresses.popleft()
                    answers.append((cycle - 1 + self.latency, response))
                    response = Response.OKAY
            if offered and bready:
                answers.popleft()
                offered = False
                self.writes_unanswered -= 1

    def _write_beat(self, address: int, wdata: int, wstrb: int) -> None:
        for lane, byte in enumerate(wdata.to_bytes(self.bus_bytes, "little")):
            if wstrb >> lane & 1:
                self.data[address - self.base + lane] = byte
                self.written.add(address + lane)


async def answer_lookups(ctx: Any, port: Any, regions: dict[int, tuple[int, int]]) -> None:
    """Be the region table of an engine: base and size by number, all others of size 0."""
    async for number, size in ctx.changed(port.number, port.size):
        ctx.set(port.value, regions.get(number, (0, 0))[size])


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
