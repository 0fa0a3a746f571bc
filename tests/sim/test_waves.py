"""Signal values over time: the file shows what the simulator reports, in the cycles asked for."""

import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from npu.offload.simulators import make_simulator
from npu.verify.random_programs import KINDS, random_program
from rtl.isa import Opcode
from sim.errors import SimulationError
from sim.memory import MemoryConfig
from sim.rtl_runner import RtlSimulator
from sim.waves import Waves
from tests.sim.configs import SMALL

CYCLE = 1000
"""Picoseconds that a cycle lasts in the file."""


def changes(path: Path, signal: str) -> Iterator[tuple[int, int]]:
    """(time, value) of a signal of the top level in a VCD file."""
    code, time, depth = "", 0, 0
    for line in path.read_text().splitlines():
        words = line.split()
        if line.strip().startswith("$scope"):
            depth += 1
        elif line.strip().startswith("$upscope"):
            depth -= 1
        elif words[:1] == ["$var"] and words[4] == signal and not code:
            code = words[3]
        elif line.startswith("#"):
            time = int(line[1:])
        elif line.startswith("b") and words[1:] == [code]:
            yield time, int(words[0][1:], 2)
        elif line[:1] in ("0", "1") and line[1:] == code:
            yield time, int(line[0])


def test_waves_show_the_events(tmp_path: Path) -> None:
    program, inputs = random_program(SMALL, 5, KINDS)
    simulator = RtlSimulator(SMALL)
    plain = simulator.run(program, inputs, trace=True)
    assert plain.cycles is not None
    window = Waves(path=tmp_path / "o.vcd", first=plain.cycles // 3, last=2 * plain.cycles // 3)
    result = simulator.run(program, inputs, trace=True, waves=window)
    assert (result.counters, result.events) == (plain.counters, plain.events)

    clock = list(changes(window.path, "clk"))
    assert clock[0][0] >= window.first * CYCLE
    assert clock[-1][0] == window.last * CYCLE + CYCLE // 2
    assert len(clock) == 2 * (window.last - window.first + 1)
    done: set[tuple[int, int]] = set()
    value, since = 0, window.first
    for time, new in [*changes(window.path, "trace_done"), ((window.last + 1) * CYCLE, 0)]:
        cycle, rest = divmod(time, CYCLE)
        assert rest == 0, "signals change with the clock's rising edge"
        for engine in range(3):
            if value >> engine & 1:
                done |= {(engine, at) for at in range(since, cycle)}
        value, since = new, cycle
    expected = {
        (int(event.engine), event.cycle)
        for event in plain.events
        if not event.start and window.first <= event.cycle <= window.last
    }
    assert expected
    assert done == expected


def test_window_of_the_second_program(tmp_path: Path) -> None:
    """Several programs count as one after the other."""
    program, inputs = random_program(SMALL, 6, (Opcode.CONV,))
    cycles = RtlSimulator(SMALL).run(program, inputs).cycles
    assert cycles is not None
    window = Waves(path=tmp_path / "o.vcd", first=cycles + 20, last=cycles + 29)
    simulate = make_simulator(SMALL, "rtl", MemoryConfig(), waves=window)
    for _ in range(3):
        simulate(program, inputs, None)
    times = [time for time, _ in changes(window.path, "clk")]
    assert times == list(range(20 * CYCLE, 30 * CYCLE, CYCLE // 2))


@pytest.mark.parametrize(
    ("path", "first", "last", "message"),
    [
        ("o.txt", 0, 1, r"waves are .vcd or .fst files, got 'o.txt'"),
        ("o.vcd", 5, 4, r"0 <= FIRST <= LAST, got 5:4"),
        ("o.vcd", -1, 4, r"got -1:4"),
    ],
)
def test_bad_requests(path: str, first: int, last: int, message: str) -> None:
    with pytest.raises(SimulationError, match=message):
        Waves(path=Path(path), first=first, last=last)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    program, inputs = random_program(SMALL, 6, (Opcode.CONV,))
    waves = Waves(path=tmp_path / "none" / "o.vcd", first=0, last=9)
    with pytest.raises(SimulationError, match="cannot write waves"):
        RtlSimulator(SMALL).run(program, inputs, waves=waves)


def test_fst_names_the_signals(tmp_path: Path) -> None:
    program, inputs = random_program(SMALL, 6, (Opcode.CONV,))
    waves = Waves(path=tmp_path / "o.fst", first=0, last=99)
    RtlSimulator(SMALL).run(program, inputs, waves=waves)
    blocks = fst_blocks(waves.path.read_bytes())
    # header, values, geometry and hierarchy, as GTKWave's `fstapi.h` numbers them
    assert set(blocks) >= {0, 3, 6}
    hierarchy = blocks[6]
    size = int.from_bytes(hierarchy[:8], "big")
    names = unpack_lz4(hierarchy[8:])
    assert len(names) == size
    for name in (b"trace_done", b"s_axil_awaddr", b"m_axi_rdata"):
        assert name in names
    packed = blocks[3]
    sizes = [int.from_bytes(packed[at : at + 8], "big") for at in (0, 8)]
    geometry = packed[16:]
    assert len(geometry if len(geometry) == sizes[0] else zlib.decompress(geometry)) == sizes[0]
    assert sizes[1] > len(names.split(b"trace_done")) > 1


def fst_blocks(data: bytes) -> dict[int, bytes]:
    """The last block of each kind in an FST file: a byte of kind, eight of length, contents."""
    blocks, position = {}, 0
    while position < len(data):
        length = int.from_bytes(data[position + 1 : position + 9], "big")
        blocks[data[position]] = data[position + 9 : position + 1 + length]
        position += 1 + length
    assert position == len(data)
    return blocks


def unpack_lz4(block: bytes) -> bytes:
    """A block of LZ4 that is literals only."""
    length, position = block[0] >> 4, 1
    if length == 15:
        while True:
            length += block[position]
            position += 1
            if block[position - 1] < 255:
                break
    assert position + length == len(block)
    return block[position:]
