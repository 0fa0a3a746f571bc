"""Runs the aims on the hardware under test, and compares bits, errors, cycles and counters."""

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from npu.verify.aims import AIMS, Aim, Inputs
from npu.verify.blame import MARGIN, Difference, difference
from npu.verify.coverage import Coverage
from npu.verify.locate import Location, locate
from rtl.config import NpuConfig
from rtl.registers import DEFAULT_TIMEOUT
from sim.cycle import simulate
from sim.errors import CommandError, SimulationError
from sim.functional import FunctionalSimulator
from sim.memory import MemoryConfig
from sim.program import Program
from sim.result import SimulationResult
from sim.rtl_runner import RtlSimulator
from sim.verilator.build import Log
from sim.verilator.design import design_text
from sim.waves import Waves

Progress = Callable[[int, int], None]
"""Called with (programs run, programs in all)."""

SEED = 15
MOST_WRONG = 3
"""Programs of an aim that may be wrong before its others are left out: hanging takes long."""

SLACK_CYCLES = 20_000
"""What hardware may take beyond four times the cycles of ours before it counts as hung."""


@dataclass(frozen=True)
class Fault:
    """The first program of an aim that is wrong.

    Attributes
    ----------
    seed : its seed. said : what is wrong, lines. difference : of its outputs, if they differ.
    location : the block that differs first, where that could be told.
    """

    seed: int
    said: tuple[str, ...]
    difference: Difference | None = None
    location: Location | None = None


@dataclass
class Outcome:
    """What became of an aim.

    Attributes
    ----------
    programs : that were run. bits : of outputs that were compared. wrong : programs with wrong
    bits or errors. slow : programs with right bits whose cycles or counters are others.
    fault : the first that is wrong or slow.
    """

    aim: Aim
    programs: int = 0
    bits: int = 0
    wrong: int = 0
    slow: int = 0
    fault: Fault | None = None


def _temporary() -> Path:
    """A folder that is made when something is written there."""
    return Path(tempfile.gettempdir()) / f"npu-verify-{os.getpid()}"


@dataclass
class Suite:
    """Verifies one design.

    Parameters
    ----------
    config : what it is a design of. verilog : its text; None: the project's own.
    aims : which; None: all that the hardware has. full : the long numbers of programs.
    seed : of the programs. cycles : whether cycles and counters have to be the cycle model's.
    folder : where waves of faults go. log : told about builds.
    bus_timeout : what is written to the register BUS_TIMEOUT, cycles.

    Attributes
    ----------
    coverage, outcomes : of the last run, so far.
    """

    config: NpuConfig
    verilog: str | None = None
    aims: Sequence[Aim] | None = None
    full: bool = False
    seed: int = SEED
    cycles: bool = True
    folder: Path = field(default_factory=_temporary)
    log: Log | None = None
    bus_timeout: int = DEFAULT_TIMEOUT
    coverage: Coverage = field(init=False)
    outcomes: list[Outcome] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.coverage = Coverage(self.config)
        chosen = AIMS if self.aims is None else self.aims
        self.aims = [aim for aim in chosen if aim.needs(self.config)]

    def run(self, progress: Progress | None = None) -> list[Outcome]:
        """All aims in turn.

        Raises
        ------
        BuildError : the design cannot be built.
        """
        assert self.aims is not None
        counts = [aim.full if self.full else aim.quick for aim in self.aims]
        done, self.outcomes = 0, []
        for aim, count in zip(self.aims, counts, strict=True):
            outcome = Outcome(aim)
            self.outcomes.append(outcome)
            for number in range(count):
                if progress is not None:
                    progress(done + number, sum(counts))
                if outcome.wrong < MOST_WRONG:
                    self._check(outcome, number)
            done += count
        return self.outcomes

    def seed_of(self, number: int) -> int:
        """The seed of the program of this number, of any aim."""
        return 1000 * self.seed + number

    def _simulator(self, memory: MemoryConfig, verilog: str | None) -> RtlSimulator:
        return RtlSimulator(self.config, memory, self.log, verilog, records="vcd")

    def _check(self, outcome: Outcome, number: int) -> None:
        """Run a program of an aim."""
        aim, seed = outcome.aim, self.seed_of(number)
        program, inputs = aim.make(self.config, seed)
        # what was given must still be there at the end
        program = replace(program, tensors=program.inputs)
        memory = aim.memory(number)
        limit = SLACK_CYCLES
        expected: SimulationResult | CommandError
        try:
            expected = FunctionalSimulator(self.config).run(program, inputs)
        except CommandError as error:
            expected = error
        timed = None
        if not aim.stalls and isinstance(expected, SimulationResult):
            timed = simulate(program, memory)
            limit += 4 * timed.cycles
        elif aim.stalls:
            limit = 40 * simulate(program).cycles + SLACK_CYCLES
        tested = partial(self._simulator(memory, self.verilog).run, program, inputs)
        tested = partial(tested, max_cycles=limit, bus_timeout=self.bus_timeout)
        outcome.programs += 1
        self.coverage.add(program.decode())
        said, got = _compare(tested, expected)
        if isinstance(expected, SimulationResult):
            outcome.bits += sum(8 * value.nbytes for value in expected.outputs.values())
        if said:
            outcome.wrong += 1
        elif got is not None and timed is not None and self.cycles:
            said = _compare_counters(got.counters, timed.counters)
            outcome.slow += bool(said)
        if said and outcome.fault is None:
            found = None
            path = self.folder / f"{aim.name.replace(' ', '-')}-{seed}.vcd"
            if got is not None and isinstance(expected, SimulationResult):
                found = difference(program, tested, expected, got, path)
            location = self._locate(program, inputs, memory, limit)
            lines = [said] if found is None else found.lines()
            if found is None and location is not None:
                lines.append(_waves_around(tested, location, path))
            outcome.fault = Fault(seed, tuple(lines), found, location)

    def _locate(
        self, program: Program, inputs: Inputs, memory: MemoryConfig, limit: int
    ) -> Location | None:
        """The block that differs first; there is one only in another design than ours."""
        if self.verilog is None:
            return None

        def record(verilog: str | None) -> Callable[[Waves], object]:
            simulator = self._simulator(memory, verilog)
            run = partial(simulator.run, program, inputs, bus_timeout=self.bus_timeout)
            return lambda waves: run(waves=waves, max_cycles=limit)

        netlist = design_text(self.config, self.log)
        return locate(netlist, record(None), record(self.verilog), limit)


def _compare(
    tested: Callable[..., SimulationResult], expected: SimulationResult | CommandError
) -> tuple[str, SimulationResult | None]:
    """What is wrong with a run's bits or errors, empty if nothing is, and its result if any."""
    try:
        got = tested()
    except CommandError as error:
        if isinstance(expected, SimulationResult):
            return f"should end well, ends with {error}", None
        same = (error.code, error.command) == (expected.code, expected.command)
        return "" if same else f"should end with {expected}, ends with {error}", None
    except SimulationError as error:
        return str(error), None
    if isinstance(expected, CommandError):
        return f"should end with {expected}, ends well", got
    wanted, found = (result.outputs | result.tensors for result in (expected, got))
    same = all((found[index] == value).all() for index, value in wanted.items())
    return "" if same else "outputs differ", got


def _waves_around(tested: Callable[..., SimulationResult], location: Location, path: Path) -> str:
    """Write waves of the cycles in which a block goes wrong; returns a line about them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    window = Waves(path=path, first=max(0, location.cycle - MARGIN), last=location.cycle + MARGIN)
    # a run that hangs or ends with an error leaves its waves
    with suppress(SimulationError):
        tested(waves=window)
    return f"waves of cycles {window.first} to {window.last}: {path}"


def _compare_counters(got: dict[str, int], expected: dict[str, int]) -> str:
    """Which counters are not the cycle model's; empty if all are."""
    unlike = [
        f"{name} should be {value}, is {got[name]}"
        for name, value in expected.items()
        if got[name] != value
    ]
    return "bits are right, but counter " + "; ".join(unlike) if unlike else ""
