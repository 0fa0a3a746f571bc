"""A design under test that ends its process, or never ends, is a fault like others."""

import os
import time
from dataclasses import replace

import pytest

from npu.verify import Suite
from npu.verify.aims import AIMS, Inputs
from npu.verify.guarded import run_guarded
from rtl.config import NpuConfig
from sim.errors import BuildError
from sim.program import Program
from tests.sim.configs import SMALL

FIRST = replace(AIMS[0], quick=2)


def crash(config: NpuConfig, seed: int) -> tuple[Program, Inputs]:
    """As hardware does whose logic does not settle."""
    if seed % 1000 == 1:
        os.abort()
    return AIMS[0].make(config, seed)


def hang(config: NpuConfig, seed: int) -> tuple[Program, Inputs]:
    """As a loop in Verilog does."""
    if seed % 1000 == 1:
        time.sleep(600)
    return AIMS[0].make(config, seed)


def refuse(config: NpuConfig, seed: int) -> tuple[Program, Inputs]:
    """As a design that Verilator does not take."""
    raise BuildError("no")


def test_it_is_the_same_as_in_this_process() -> None:
    told: list[tuple[int, int]] = []
    guarded, plain = (Suite(SMALL, aims=[FIRST]) for _ in range(2))
    outcomes = run_guarded(guarded, lambda done, total: told.append((done, total)))
    assert [replace(outcome, aim=FIRST) for outcome in outcomes] == plain.run()
    assert guarded.coverage.counts == plain.coverage.counts
    assert any(guarded.coverage.counts.values())
    assert told == [(0, 2), (1, 2)]


def test_a_crash_is_told_with_its_program() -> None:
    outcomes = run_guarded(Suite(SMALL, aims=[FIRST, replace(FIRST, make=crash)]))
    good, bad = outcomes
    assert (good.programs, good.wrong, bad.programs, bad.wrong) == (2, 0, 2, 1)
    assert bad.fault is not None
    assert bad.fault.seed == 15001
    assert bad.fault.said[0].startswith("the simulation of this design died (SIGABRT)")


def test_what_takes_too_long_is_ended() -> None:
    begin = time.monotonic()
    (outcome,) = run_guarded(Suite(SMALL, aims=[replace(FIRST, make=hang)]), program_seconds=5)
    assert time.monotonic() - begin < 120
    assert outcome.fault is not None
    assert outcome.fault.said == ("the simulation takes longer than 5 s, and was ended",)


def test_errors_come_across() -> None:
    with pytest.raises(BuildError, match=r"^no$"):
        run_guarded(Suite(SMALL, aims=[replace(FIRST, make=refuse)]))
