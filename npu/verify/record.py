"""What a verification found, as JSON."""

from dataclasses import asdict
from typing import Any

from npu.verify.blame import Difference
from npu.verify.suite import Fault, Outcome, Suite


def suite_record(suite: Suite, outcomes: list[Outcome]) -> dict[str, Any]:
    """Everything that the table shows, and what each first fault is."""
    return {
        "seed": suite.seed,
        "programs": "full" if suite.full else "quick",
        "cycles_compared": suite.cycles,
        "right": not any(outcome.fault for outcome in outcomes),
        "aims": [_outcome_record(outcome) for outcome in outcomes],
        "coverage": dict(suite.coverage.counts),
    }


def _outcome_record(outcome: Outcome) -> dict[str, Any]:
    return {
        "aim": outcome.aim.name,
        "blocks": list(outcome.aim.blocks),
        "programs": outcome.programs,
        "bits_compared": outcome.bits,
        "wrong": outcome.wrong,
        "other_cycles": outcome.slow,
        "first": None if outcome.fault is None else _fault_record(outcome.fault),
    }


def _fault_record(fault: Fault) -> dict[str, Any]:
    return {
        "seed": fault.seed,
        "said": list(fault.said),
        "difference": None if fault.difference is None else _difference_record(fault.difference),
        "location": None if fault.location is None else asdict(fault.location),
    }


def _difference_record(found: Difference) -> dict[str, Any]:
    waves = found.waves
    return {
        "wrong_elements": found.wrong,
        "suspect": asdict(found.suspect),
        "commands": [asdict(part) for part in found.parts],
        "waves": None
        if waves is None
        else {"path": str(waves.path), "first": waves.first, "last": waves.last},
    }
