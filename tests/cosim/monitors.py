"""Watches the top level's buses for violations of AXI4 and AXI4-Lite."""

from collections import deque
from collections.abc import Callable
from typing import Any

from cocotb.triggers import RisingEdge

from rtl.axi import BOUNDARY_BYTES, Burst
from rtl.config import NpuConfig

Allowed = Callable[[int, int], bool]
"""Whether the NPU may touch the bytes [first, last] of the bus."""

_ADDRESS = ("addr", "len", "size", "burst", "id", "lock", "cache", "prot", "qos")

CHANNELS: dict[str, tuple[str, ...]] = {
    "m_axi_ar": _ADDRESS,
    "m_axi_aw": _ADDRESS,
    "m_axi_w": ("data", "strb", "last"),
    "m_axi_r": ("id", "data", "resp", "last"),
    "m_axi_b": ("id", "resp"),
    "s_axil_ar": ("addr", "prot"),
    "s_axil_aw": ("addr", "prot"),
    "s_axil_w": ("data", "strb"),
    "s_axil_r": ("data", "resp"),
    "s_axil_b": ("resp",),
}
"""Payload signals of every channel, by the common prefix of its ports."""


class Channel:
    """One channel: valid stays high and the payload stays the same until ready."""

    def __init__(self, dut: Any, prefix: str) -> None:
        self.prefix = prefix
        self.valid = getattr(dut, f"{prefix}valid")
        self.ready = getattr(dut, f"{prefix}ready")
        self.payload = [getattr(dut, prefix + name) for name in CHANNELS[prefix]]
        self.held: tuple[int, ...] | None = None

    def sample(self) -> tuple[int, ...] | None:
        """Look at the values before a clock edge; returns the payload that transfers, if any."""
        if not int(self.valid.value):
            assert self.held is None, f"{self.prefix}valid fell before {self.prefix}ready"
            return None
        payload = tuple(int(signal.value) for signal in self.payload)
        assert self.held in (None, payload), (
            f"{self.prefix}* changed before {self.prefix}ready: {self.held} became {payload}"
        )
        taken = bool(int(self.ready.value))
        self.held = None if taken else payload
        return payload if taken else None


class Monitor:
    """All channels of the top level, and the rules between them.

    Parameters
    ----------
    dut : the top level.
    config : bus width, longest burst, bursts in flight.
    readable, writable : what the NPU may touch; reads come in whole beats.
    """

    def __init__(self, dut: Any, config: NpuConfig, readable: Allowed, writable: Allowed) -> None:
        self.dut = dut
        self.config = config
        self.readable = readable
        self.writable = writable
        self.channels = {prefix: Channel(dut, prefix) for prefix in CHANNELS}
        self.read_beats = self.write_beats = 0
        self.cycles = 0
        self.reset()

    def reset(self) -> None:
        """Forget what is under way: the NPU was reset."""
        for channel in self.channels.values():
            channel.held = None
        self.reads: deque[int] = deque()
        self.writes: deque[tuple[int, int]] = deque()
        self.data: deque[tuple[int, ...]] = deque()
        self.answers = 0
        self.position = 0

    @property
    def quiet(self) -> bool:
        """No burst is offered or under way."""
        offered = any(int(self.channels[f"m_axi_{name}"].valid.value) for name in ("ar", "aw", "w"))
        return not (offered or self.reads or self.writes or self.data or self.answers)

    async def run(self) -> None:
        """Watch until the end of the test; a violation fails it."""
        edge = RisingEdge(self.dut.clk)
        while True:
            await edge
            self.cycles += 1
            if int(self.dut.rst.value):
                self.reset()
                continue
            taken = {prefix: channel.sample() for prefix, channel in self.channels.items()}
            self._read(taken["m_axi_ar"], taken["m_axi_r"])
            self._write(taken["m_axi_aw"], taken["m_axi_w"], taken["m_axi_b"])

    def _burst(self, prefix: str, payload: tuple[int, ...]) -> tuple[int, int]:
        """Check a burst's shape; returns its address and its beats."""
        fields = dict(zip(CHANNELS[prefix], payload, strict=True))
        address, beats = fields.pop("addr"), fields.pop("len") + 1
        width = self.config.bus_bytes
        assert fields.pop("size") == width.bit_length() - 1
        assert fields.pop("burst") == Burst.INCR.value
        assert not any(fields.values()), fields
        assert address % width == 0, f"{prefix}addr {address:#x} is not aligned"
        assert beats <= self.config.burst_beats, f"{prefix}len {beats}"
        last = address + beats * width - 1
        assert address // BOUNDARY_BYTES == last // BOUNDARY_BYTES, (
            f"burst of {beats} beats at {address:#x} crosses a 4 KiB boundary"
        )
        return address, beats

    def _read(self, request: tuple[int, ...] | None, beat: tuple[int, ...] | None) -> None:
        if request is not None:
            address, beats = self._burst("m_axi_ar", request)
            last = address + beats * self.config.bus_bytes - 1
            assert self.readable(address, last), f"read of {address:#x} to {last:#x}"
            self.reads.append(beats)
            assert len(self.reads) <= self.config.outstanding_bursts
        if beat is not None:
            self.read_beats += 1
            self.reads[0] -= 1
            if self.reads[0] == 0:
                self.reads.popleft()

    def _write(
        self,
        request: tuple[int, ...] | None,
        beat: tuple[int, ...] | None,
        answer: tuple[int, ...] | None,
    ) -> None:
        if request is not None:
            self.writes.append(self._burst("m_axi_aw", request))
        if beat is not None:
            self.write_beats += 1
            self.data.append(beat)
        # data may be taken before its address
        while self.writes and self.data:
            self._write_beat(self.data.popleft())
        if answer is not None:
            self.answers -= 1
            assert self.answers >= 0, "more answers than bursts"
        assert len(self.writes) + self.answers <= self.config.outstanding_bursts

    def _write_beat(self, beat: tuple[int, ...]) -> None:
        """Check a beat of the oldest write burst."""
        width = self.config.bus_bytes
        address, beats = self.writes[0]
        _, strobe, last = beat
        enabled = [lane for lane in range(width) if strobe >> lane & 1]
        if enabled:
            assert enabled == list(range(enabled[0], enabled[-1] + 1)), bin(strobe)
            first = address + self.position * width
            assert self.writable(first + enabled[0], first + enabled[-1]), (
                f"write to {first:#x}, strobe {strobe:b}"
            )
        self.position += 1
        assert bool(last) == (self.position == beats), (
            f"WLAST is {last} in beat {self.position} of {beats}"
        )
        if last:
            self.writes.popleft()
            self.position = 0
            self.answers += 1
