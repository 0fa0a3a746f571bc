"""What the memory model of the harness does on the bus, beyond `MemoryConfig`: for tests."""

from collections.abc import Sequence
from dataclasses import dataclass

from rtl.axi import Response
from sim.memory import HANDSHAKES, MemoryConfig
from sim.rtl_runner.library import SEGMENTS, Options, Segment

CHANNELS = ("AR", "R", "AW", "W", "B")
"""The AXI channels, in the order of the harness."""

FOR_EVER = (1 << 64) - 1


@dataclass(frozen=True)
class Silence:
    """The memory does nothing on some channels for some time.

    Parameters
    ----------
    channels : of `CHANNELS`.
    first, end : the cycles after START in which it does nothing, `first <= cycle < end`. What it
        offers already stays.
    """

    channels: tuple[str, ...] = ()
    first: int = 0
    end: int = FOR_EVER


NO_SILENCE = Silence()


@dataclass(frozen=True)
class BusFaults:
    """Bytes at which the memory answers with an error; for tests.

    Parameters
    ----------
    commands, constants, arena : byte offset of a read fault, or None.
    arena_write : byte offset in the arena of a write fault, or None.
    response : the answer. silence : when the memory does not answer at all.
    """

    commands: int | None = None
    constants: int | None = None
    arena: int | None = None
    arena_write: int | None = None
    response: Response = Response.SLVERR
    silence: Silence = NO_SILENCE


def bus_options(
    memory: MemoryConfig,
    segments: Sequence[Segment],
    *,
    read: int | None = None,
    write: int | None = None,
    response: Response = Response.SLVERR,
    silence: Silence = NO_SILENCE,
) -> Options:
    """The harness's options.

    Parameters
    ----------
    segments : the memory, at most `SEGMENTS` pieces; elsewhere it answers with DECERR.
    read, write : bus address whose beat is answered with `response`.
    """
    response_latency = memory.response_cycles
    if response_latency is None:
        response_latency = memory.latency_cycles
    options = Options(
        latency=memory.latency_cycles,
        response_latency=response_latency,
        handshake=HANDSHAKES.index(memory.handshake),
        stall_threshold=int(memory.stall_probability * 2**32),
        seed=memory.stall_seed,
        inject=(read is not None) | (write is not None) << 1,
        fault_response=response.value,
        silent_channels=sum(1 << CHANNELS.index(channel) for channel in silence.channels),
        silent_from=silence.first,
        silent_until=silence.end,
        fault_read=read or 0,
        fault_write=write or 0,
    )
    assert len(segments) <= SEGMENTS
    for number, segment in enumerate(segments):
        options.segments[number] = segment
    return options
