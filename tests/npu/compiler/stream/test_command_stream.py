import random

import pytest

from npu.compiler.stream.command_stream import OLDEST_WAIT, CommandStream
from npu.compiler.stream.waits import RangeTracker
from npu.compiler.terms.memory import Access, Memory
from rtl.isa import Command, Opcode


def span(start: int, length: int, memory: Memory = Memory.SCRATCHPAD) -> Access:
    return Access(memory, start, length)


def waits(command: Command) -> tuple[int, int, int]:
    return command["wait_load"], command["wait_compute"], command["wait_store"]


class Builder:
    """Adds commands of 100 cycles that touch given words of the scratchpad."""

    def __init__(self) -> None:
        self.stream = CommandStream(7)

    def add(
        self,
        opcode: Opcode,
        reads: list[Access] | None = None,
        writes: list[Access] | None = None,
        cycles: int = 100,
    ) -> int:
        return self.stream.add(opcode, {}, reads=reads or [], writes=writes or [], cycles=cycles)


def test_stream_starts_with_config_and_ends_with_end() -> None:
    finished = CommandStream(7).finish()
    assert [c.opcode for c in finished.commands] == [Opcode.CONFIG, Opcode.END]
    assert finished.commands[0]["config_id"] == 7


def test_reader_waits_for_the_writer() -> None:
    b = Builder()
    load = b.add(Opcode.LOAD, writes=[span(0, 10)])
    compute = b.add(Opcode.CONV, reads=[span(9, 5)], writes=[span(20, 4)])
    store = b.add(Opcode.STORE, reads=[span(20, 1)])
    finished = b.stream.finish()
    at = [finished.commands[finished.positions[n]] for n in (load, compute, store)]
    assert [waits(c) for c in at] == [(0, 0, 0), (1, 0, 0), (0, 1, 0)]


def test_writer_waits_for_readers_and_writers() -> None:
    b = Builder()
    b.add(Opcode.LOAD, writes=[span(0, 4)])
    b.add(Opcode.CONV, reads=[span(0, 4)], writes=[span(8, 4)])
    b.add(Opcode.STORE, reads=[span(8, 4)])
    again = b.add(Opcode.LOAD, writes=[span(2, 8)])
    finished = b.stream.finish()
    assert waits(finished.commands[finished.positions[again]]) == (0, 1, 1)


def test_disjoint_accesses_do_not_wait() -> None:
    b = Builder()
    b.add(Opcode.LOAD, writes=[span(0, 4)])
    free = b.add(Opcode.CONV, reads=[span(4, 4)], writes=[span(0, 4, Memory.WEIGHTS)])
    assert waits(b.stream.finish().commands[1 + free]) == (0, 0, 0)


def test_strided_access_touches_its_ranges_only() -> None:
    planes = Access(Memory.SCRATCHPAD, 10, 2, 3, 100)
    assert list(planes.ranges()) == [(10, 12), (110, 112), (210, 212)]
    assert list(Access(Memory.SCRATCHPAD, 10, 5, 4, 5).ranges()) == [(10, 30)]


def test_independent_load_overtakes_a_blocked_one() -> None:
    b = Builder()
    first = b.add(Opcode.LOAD, writes=[span(0, 4)])
    b.add(Opcode.CONV, reads=[span(0, 4)], writes=[span(50, 4)], cycles=1000)
    blocked = b.add(Opcode.LOAD, writes=[span(0, 4)])
    ahead = b.add(Opcode.LOAD, writes=[span(90, 4)])
    positions = b.stream.finish().positions
    assert positions[first] < positions[ahead] < positions[blocked]


def test_engine_order_keeps_the_order_of_computing() -> None:
    b = Builder()
    b.add(Opcode.LOAD, writes=[span(0, 4)], cycles=5000)
    late = b.add(Opcode.CONV, reads=[span(0, 4)], writes=[span(10, 1)])
    early = b.add(Opcode.CONV, reads=[span(40, 4)], writes=[span(60, 1)])
    positions = b.stream.finish().positions
    assert positions[late] < positions[early]


def test_old_waits_stay_comparable_modulo_16_bits() -> None:
    b = Builder()
    b.add(Opcode.STORE, writes=[span(0, 1)], cycles=1)
    for _ in range(OLDEST_WAIT + 10):
        b.add(Opcode.STORE, writes=[span(5, 1)], cycles=1)
    last = b.add(Opcode.STORE, writes=[span(0, 1)], cycles=1)
    finished = b.stream.finish()
    assert waits(finished.commands[finished.positions[last]])[2] == 11


@pytest.mark.parametrize("seed", range(10))
def test_tracker_agrees_with_one_entry_per_unit(seed: int) -> None:
    rng = random.Random(seed)
    tracker = RangeTracker()
    writer: dict[int, int] = {}
    readers: dict[int, set[int]] = {}
    for command in range(200):
        start = rng.randrange(50)
        end = start + rng.randrange(1, 12)
        found: set[int] = set()
        expected = {writer[u] for u in range(start, end) if u in writer}
        if rng.random() < 0.5:
            tracker.read(command, start, end, found)
            for unit in range(start, end):
                readers.setdefault(unit, set()).add(command)
        else:
            tracker.write(command, start, end, found)
            for unit in range(start, end):
                expected |= readers.get(unit, set())
                writer[unit] = command
                readers[unit] = set()
        assert found == expected, f"seed {seed}, command {command}"
