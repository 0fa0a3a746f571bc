"""Command emission: dependencies and waits from memory ranges, and the order of the stream.

Commands are added in an order in which executing them one by one would be right. Each depends on
those earlier ones whose ranges it conflicts with. The stream is then ordered by when, by estimate,
each command can start: engines keep fed, and the dispatcher rarely meets a full queue.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from npu.compiler.stream.estimate import COMPUTE_OVERHEAD, MEMORY_LATENCY, TRANSFER_OVERHEAD
from npu.compiler.stream.waits import RangeTracker
from npu.compiler.terms.memory import Access, Memory
from rtl.isa import COMMANDS, WAIT_BITS, Command, Engine, Opcode

ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)
WAIT_FIELDS = {Engine.LOAD: "wait_load", Engine.COMPUTE: "wait_compute", Engine.STORE: "wait_store"}

OLDEST_WAIT = 1 << WAIT_BITS - 2
"""A wait on a command further back than this is replaced by one on a later command, because
completed counts are compared modulo 2**16."""

LOAD_LOOKAHEAD = 24
"""LOADs that may overtake one that has to wait, at most."""


@dataclass(frozen=True, slots=True)
class _Entry:
    opcode: Opcode
    fields: dict[str, int]
    dependencies: tuple[int, ...]
    cycles: int

    @property
    def engine(self) -> Engine:
        return COMMANDS[self.opcode].engine


@dataclass(frozen=True)
class Stream:
    """The finished stream.

    Attributes
    ----------
    commands : CONFIG, all commands with their waits, END.
    positions : where each added command went, by the number that `add` gave it.
    cycles : estimated cycles of the whole stream.
    """

    commands: list[Command]
    positions: list[int]
    cycles: int


class CommandStream:
    """Builds a command stream; see the module for how.

    Waits are on every conflicting earlier command, those of the same engine included: the
    contract orders the starts of an engine's commands, not what they overlap. Only LOADs, which
    write in their order, do not wait for each other.
    """

    def __init__(self, config_id: int) -> None:
        self._config_id = config_id
        self._entries: list[_Entry] = []
        self._trackers = {memory: RangeTracker() for memory in Memory}

    def add(
        self,
        opcode: Opcode,
        fields: dict[str, int],
        *,
        reads: Iterable[Access],
        writes: Iterable[Access],
        cycles: int,
    ) -> int:
        """Add a command without its waits; returns its number.

        Parameters
        ----------
        reads, writes : all memory that it touches.
        cycles : estimate of how long it takes.
        """
        number = len(self._entries)
        found: set[int] = set()
        for access in reads:
            for start, end in access.ranges():
                self._trackers[access.memory].read(number, start, end, found)
        for access in writes:
            for start, end in access.ranges():
                self._trackers[access.memory].write(number, start, end, found)
        found.discard(number)
        self._entries.append(_Entry(opcode, fields, tuple(sorted(found)), cycles))
        return number

    def finish(self) -> Stream:
        """Order the commands and set their waits."""
        order, cycles = self._schedule()
        issued = dict.fromkeys(ENGINES, 0)
        ordinal = [0] * len(order)
        positions = [0] * len(order)
        commands = [Command(Opcode.CONFIG, {"config_id": self._config_id})]
        for number in order:
            entry = self._entries[number]
            waits = dict.fromkeys(ENGINES, 0)
            for dependency in entry.dependencies:
                engine = self._entries[dependency].engine
                if engine == entry.engine == Engine.LOAD:
                    continue  # LOADs write in their order
                waits[engine] = max(waits[engine], ordinal[dependency])
            fields = dict(entry.fields)
            for engine, wait in waits.items():
                oldest = issued[engine] - OLDEST_WAIT
                fields[WAIT_FIELDS[engine]] = max(wait, oldest) % (1 << WAIT_BITS)
            issued[entry.engine] += 1
            ordinal[number] = issued[entry.engine]
            positions[number] = len(commands)
            commands.append(Command(entry.opcode, fields))
        commands.append(Command(Opcode.END, {}))
        return Stream(commands, positions, cycles)

    def _schedule(self) -> tuple[list[int], int]:
        """List scheduling: always the command that can start first; ties in the order added."""
        queues: dict[Engine, list[int]] = {engine: [] for engine in ENGINES}
        for number, entry in enumerate(self._entries):
            queues[entry.engine].append(number)
        free = dict.fromkeys(ENGINES, 0)
        finish: list[int | None] = [None] * len(self._entries)
        lookahead = {Engine.LOAD: LOAD_LOOKAHEAD, Engine.COMPUTE: 1, Engine.STORE: 1}
        order: list[int] = []
        while len(order) < len(self._entries):
            best: tuple[int, int] | None = None
            for engine in ENGINES:
                candidate = self._first_ready(
                    queues[engine][: lookahead[engine]], free[engine], finish
                )
                if candidate is not None and (best is None or candidate < best):
                    best = candidate
            assert best is not None, "the oldest command depends on scheduled ones only"
            start, number = best
            entry = self._entries[number]
            if entry.engine == Engine.COMPUTE:
                end = start + entry.cycles + COMPUTE_OVERHEAD
            else:
                latency = MEMORY_LATENCY if start > free[entry.engine] else 0
                end = start + latency + entry.cycles + TRANSFER_OVERHEAD
            finish[number] = free[entry.engine] = end
            queues[entry.engine].remove(number)
            order.append(number)
        return order, max((end for end in finish if end is not None), default=0)

    def _first_ready(
        self, queue: list[int], free: int, finish: list[int | None]
    ) -> tuple[int, int] | None:
        best: tuple[int, int] | None = None
        for number in queue:
            start = free
            for dependency in self._entries[number].dependencies:
                end = finish[dependency]
                if end is None:
                    break
                start = max(start, end)
            else:
                if best is None or (start, number) < best:
                    best = (start, number)
                if start == free:
                    break
        return best
