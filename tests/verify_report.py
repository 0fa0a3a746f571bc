"""`make verify-report`: runs programs and networks, and writes a table of them and the proofs."""

import datetime
import time
from dataclasses import dataclass
from typing import Annotated

import typer

from npu.verify import Suite
from npu.verify.suite import SEED
from rtl.config import PRESETS, NpuConfig
from tests.docs import ROOT, replace_section
from tests.formal.__main__ import DOCUMENT
from tests.sim.configs import DECODING, SMALL
from tests.soak import network_as_tflm

CONFIGS: dict[str, NpuConfig] = {
    "a small one": SMALL,
    "a small one with all weight formats": DECODING,
    "npu32": PRESETS["npu32"],
}
README = ROOT / "README.md"

FIRST_NETWORK = 1_000_000
"""Seed of the first random network."""


@dataclass(frozen=True)
class Line:
    """A row of the table."""

    what: str
    how_many: str
    found: str
    seeds: str


def properties() -> Line:
    """What `make formal` has written."""
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| rtl.")]
    proved, refuted = (sum(row[column] == "yes" for row in rows) for column in (3, 4))
    return Line(
        "[properties](tests/formal/RESULTS.md) of blocks, by induction",
        f"{len(rows)}",
        f"{proved} proved; {refuted} fail on a planted bug, as they should",
        "-",
    )


def programs(name: str, config: NpuConfig) -> Line:
    """The long suite of `npu verify` on our RTL."""
    print(f"programs on {name}", flush=True)
    suite = Suite(config, full=True)
    outcomes = suite.run()
    wrong = sum(outcome.wrong + outcome.slow for outcome in outcomes)
    bits = sum(outcome.bits for outcome in outcomes)
    features = len(suite.coverage.counts)
    return Line(
        f"programs on the RTL of {name}: bits, errors, cycles, counters",
        f"{sum(outcome.programs for outcome in outcomes):,}",
        f"{wrong} wrong; {bits:,} bits compared;"
        f" {features - len(suite.coverage.missed)} of {features} features of commands hit",
        str(SEED),
    )


def networks(minutes: float) -> Line:
    """Random networks, all tensors, beside TFLM."""
    end, seed = time.monotonic() + 60 * minutes, FIRST_NETWORK
    while time.monotonic() < end or seed == FIRST_NETWORK:
        network_as_tflm(seed)
        seed += 1
    return Line(
        "random networks on random hardware: every tensor as in TFLM",
        f"{seed - FIRST_NETWORK:,}",
        "0 wrong",
        f"{FIRST_NETWORK} to {seed - 1}",
    )


def section(lines: list[Line]) -> str:
    """The table in Markdown."""
    rows = [f"| {x.what} | {x.how_many} | {x.found} | {x.seeds} |" for x in lines]
    table = ["| what | how many | found | seeds |", "|---|---:|---|---|", *rows]
    return "\n".join([*table, "", f"Measured on {_today()}.", ""])


def _today() -> str:
    return datetime.datetime.now(tz=datetime.UTC).date().isoformat()


def main(
    minutes: Annotated[float, typer.Option(min=0, help="Of random networks.")] = 5,
) -> None:
    """Measure, and write the table into the README."""
    lines = [properties()]
    lines += [programs(name, config) for name, config in CONFIGS.items()]
    lines.append(networks(minutes))
    text = README.read_text(encoding="utf-8")
    README.write_text(replace_section(text, "verification", section(lines)), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
