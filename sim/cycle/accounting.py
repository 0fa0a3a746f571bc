"""Where the time went: what each engine did in every cycle, per layer and in total.

A compute command's cycles are those from the completion of the one before it to its own; a layer's
are those of its commands, also where layers take turns, stripe by stripe. So the layers share out
the program's cycles. Within them every cycle of every engine has one cause, and the causes add up
to the layer's cycles.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rtl.isa import WAIT_BITS, Destination
from sim.cycle.simulator import CycleResult
from sim.cycle.state import COMPUTE, ENGINES, LOAD, STORE

BUSY = "busy"
"""LOAD, STORE: a word was moved. COMPUTE: the grid, or the elementwise unit, was used."""
BUS = "bus"
"""The external memory did not deliver, or had not answered."""
SCRATCHPAD = "scratchpad"
"""The scratchpad served another engine, or an operand was still to be fetched from it."""
OUTPUT_STAGE = "output stage"
"""No accumulators were free, or only the last results were still to be written."""
STARTING = "starting"
"""A command was on its way through the engine's first stages."""
COMMANDS = "commands"
"""The next command had not arrived."""
FINISHED = "finished"
"""The engine had no more commands."""
WAITS = ("load", "compute", "store")
"""A command waited for one of these engines."""
LOADED = {
    Destination.SCRATCHPAD: "activations",
    Destination.WEIGHTS: "weights",
    Destination.ENCODED: "weights",
    Destination.LIST: "weights",
    Destination.PARAMETERS: "parameters",
    Destination.BIASES: "parameters",
    Destination.TABLE: "table",
}
"""What a compute command waited for when it waited for the load engine."""

ENGINE_NAMES = ("load", "compute", "store")

Causes = dict[str, int]

_PROGRESS = (
    *("load_busy", "load_words", "load_stalls"),
    *("store_busy", "store_words", "store_stalls"),
)


@dataclass(frozen=True)
class LayerAccount:
    """What happened in the cycles of one layer.

    Attributes
    ----------
    operator_index, macs, cycles : of the layer.
    load, compute, store : cycles of each engine by cause; each adds up to `cycles`.
    read_bytes, written_bytes : external memory traffic of the commands that the layer's compute
        commands were the first to wait for, or that waited for them last.
    """

    operator_index: int
    macs: int
    cycles: int
    load: Causes
    compute: Causes
    store: Causes
    read_bytes: int = 0
    written_bytes: int = 0

    @property
    def bound(self) -> tuple[str, int]:
        """What the compute engine did or waited for in most cycles, and in how many."""
        return max(self.compute.items(), key=lambda item: item[1], default=(BUSY, 0))


class _Idle:
    """When an engine was not busy: cycles `first <= t < end`, each interval for one cause."""

    def __init__(self, intervals: Iterable[tuple[int, int, str]]) -> None:
        found = [interval for interval in intervals if interval[1] > interval[0]]
        self._first = np.array([first for first, _, _ in found], dtype=np.int64)
        self._end = np.array([end for _, end, _ in found], dtype=np.int64)
        self._causes = [cause for _, _, cause in found]

    def inside(self, first: int, end: int) -> Counter[str]:
        """Cycles of each cause with `first <= t < end`."""
        cycles = np.minimum(self._end, end) - np.maximum(self._first, first)
        causes: Counter[str] = Counter()
        for index in np.flatnonzero(cycles > 0):
            causes[self._causes[index]] += int(cycles[index])
        return causes


def account_layers(result: CycleResult) -> tuple[LayerAccount, ...]:
    """One account for each of the program's layers, in their order."""
    return tuple(_Accountant(result).layers())


def add_accounts(accounts: Iterable[LayerAccount]) -> LayerAccount:
    """Several layers as one, with `operator_index` -1."""
    layers = list(accounts)
    sums: list[Counter[str]] = [Counter() for _ in range(ENGINES)]
    for layer in layers:
        for counter, causes in zip(sums, (layer.load, layer.compute, layer.store), strict=True):
            counter.update(causes)
    load, compute, store = (dict(counter) for counter in sums)
    return LayerAccount(
        operator_index=-1,
        macs=sum(layer.macs for layer in layers),
        cycles=sum(layer.cycles for layer in layers),
        load=load,
        compute=compute,
        store=store,
        read_bytes=sum(layer.read_bytes for layer in layers),
        written_bytes=sum(layer.written_bytes for layer in layers),
    )


class _Accountant:
    """Divides one run among its layers."""

    def __init__(self, result: CycleResult) -> None:
        self._result = result
        self._times = result.times
        self._commands = result.commands
        self._own = [own.tolist() for own in result.engine_commands]
        self._done = result.times["done"].tolist()
        self._waits = [self._commands[f"wait_{name}"].tolist() for name in ENGINE_NAMES]
        self._idle = [_Idle(self._idle_intervals(number)) for number in range(ENGINES)]

    def _waited_for(self, command: int, engine: int) -> int:
        """The latest command of an engine that a command waits for, -1 if none."""
        own = self._own[engine]
        before = bisect_left(own, command)
        # counters wrap: the wait is the latest value that it can mean
        count = before - (before - self._waits[engine][command]) % (1 << WAIT_BITS)
        return own[count - 1] if count > 0 else -1

    def _wait_cause(self, number: int, command: int) -> str:
        """What came last of all that a command had to wait for."""
        times = self._times[command]
        if times["valid"] <= times["whole"] + 1:
            return STARTING
        latest, cause = -1, STARTING
        for engine in range(ENGINES):
            other = self._waited_for(command, engine)
            if other >= 0 and self._done[other] > latest:
                latest, cause = self._done[other], WAITS[engine]
                if number == COMPUTE and engine == LOAD:
                    cause = LOADED[Destination(int(self._commands["destination"][other]))]
        return cause

    def _idle_intervals(self, number: int) -> Iterator[tuple[int, int, str]]:
        """When an engine was not busy, and why."""
        free: int | None = 1
        for command in self._own[number]:
            times = self._times[command]
            if free is not None:
                start = int(times["accepted"]) + 1
                whole = max(int(times["whole"]), free)
                valid = max(int(times["valid"]), free)
                yield free, whole, COMMANDS
                yield whole, valid, self._wait_cause(number, command)
                yield valid, start, STARTING
                free = None
            if times["rest"]:
                free = int(times["rest"])
        if free is not None:
            yield free, self._result.cycles + 1, FINISHED

    def layers(self) -> Iterator[LayerAccount]:
        layers = self._result.program.layers
        causes = [[Counter[str]() for _ in range(ENGINES)] for _ in layers]
        cycles = [0] * len(layers)
        first, before = 1, self._progress(-1)
        for position, end, after in self._turns():
            load, compute, store = causes[position]
            load.update(self._moved(LOAD, first, end, after - before))
            compute.update(self._computed(first, end))
            store.update(self._moved(STORE, first, end, after - before))
            cycles[position] += end - first
            first, before = end, after
        for position, (layer, traffic) in enumerate(zip(layers, self._traffic(), strict=False)):
            own = [dict(counter) for counter in causes[position]]
            yield LayerAccount(
                operator_index=layer.operator_index,
                macs=layer.macs,
                cycles=cycles[position],
                load=own[LOAD],
                compute=own[COMPUTE],
                store=own[STORE],
                read_bytes=traffic[0],
                written_bytes=traffic[1],
            )

    def _turns(self) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        """The layers in the order in which they have the compute engine, until when, and the
        `_progress` until then; the last one has what is left."""
        layers = self._result.program.layers
        layer_of = {c: n for n, layer in enumerate(layers) for c in layer.compute_commands}
        last = len(layers) - 1
        turns = [(layer_of.get(command, last), command) for command in self._own[COMPUTE]]
        for (position, command), (following, _) in pairwise([*turns, (-1, -1)]):
            if position != following:
                yield position, self._done[command] + 1, self._progress(command)
        if layers:
            yield last, self._result.cycles + 1, self._totals()

    def _progress(self, command: int) -> NDArray[np.int64]:
        """Busy cycles, words and stalls of LOAD and STORE when a compute command was done."""
        if command < 0:
            return np.zeros(len(_PROGRESS), dtype=np.int64)
        return np.array([self._times[name][command] for name in _PROGRESS], dtype=np.int64)

    def _totals(self) -> NDArray[np.int64]:
        totals = self._result.totals
        return np.array(
            [
                *(totals["LOAD_BUSY"], self._words(LOAD), totals["LOAD_WRITE_STALL"]),
                *(totals["STORE_BUSY"], self._words(STORE), totals["STORE_READ_STALL"]),
            ],
            dtype=np.int64,
        )

    def _words(self, number: int) -> int:
        c = self._commands[self._own[number]]
        words = c["rows"] * c["pixels"] * c["pixel_words"]
        return int(np.where(c["operations"] != 0, c["operations"], words).sum())

    def _moved(self, number: int, first: int, end: int, progress: NDArray[np.int64]) -> Causes:
        """Causes of LOAD or STORE in the cycles `first <= t < end`."""
        busy, words, stalls = progress[:3] if number == LOAD else progress[3:]
        causes = self._idle[number].inside(first, end)
        causes.update({BUSY: int(words), SCRATCHPAD: int(stalls), BUS: int(busy - words - stalls)})
        return {cause: cycles for cause, cycles in causes.items() if cycles}

    def _computed(self, first: int, end: int) -> Causes:
        """Causes of COMPUTE in the cycles `first <= t < end`, between completions."""
        causes = self._idle[COMPUTE].inside(first, end)
        own = self._times[self._own[COMPUTE]]
        own = own[(own["done"] >= first) & (own["done"] < end)]
        span = own["last_issue"] + 1 - own["first_issue"]
        causes[BUSY] += int(own["active"].sum())
        causes[SCRATCHPAD] += int((span - own["active"] - own["waits"]).sum())
        causes[OUTPUT_STAGE] += int((own["waits"] + own["done"] - own["last_issue"]).sum())
        causes[STARTING] += int((own["first_issue"] - own["accepted"] - 1).sum())
        return {cause: cycles for cause, cycles in causes.items() if cycles}

    def _traffic(self) -> list[tuple[int, int]]:
        """Bytes read and written for each layer."""
        layers = self._result.program.layers
        layer_of = {c: n for n, layer in enumerate(layers) for c in layer.compute_commands}
        read = [0] * max(len(layers), 1)
        written = [0] * max(len(layers), 1)
        loads = self._own[LOAD]
        position, last = 0, len(layers) - 1
        for command in self._own[COMPUTE]:
            needed = self._waited_for(command, LOAD)
            while position < len(loads) and loads[position] <= needed:
                read[layer_of.get(command, last)] += self._bytes(loads[position], LOAD)
                position += 1
        for command in loads[position:]:
            read[last] += self._bytes(command, LOAD)
        for command in self._own[STORE]:
            source = self._waited_for(command, COMPUTE)
            written[layer_of.get(source, 0)] += self._bytes(command, STORE)
        return list(zip(read, written, strict=True))

    def _bytes(self, command: int, number: int) -> int:
        c = self._commands[command]
        row = c["row_bytes"] if number == LOAD else c["pixels"] * c["pixel_bytes"]
        return int(c["rows"] * row)
