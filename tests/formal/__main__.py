"""`python -m tests.formal`: prove all properties, and show that each fails on a planted bug."""

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import Any

from tests.formal.proof import Proof, prove
from tests.formal.properties import PROOFS

DOCUMENT = Path(__file__).parent / "RESULTS.md"


def measure(proof: Proof) -> dict[str, Any]:
    """The proof, and whether it fails on the planted bug."""
    verdict, planted = prove(proof), prove(proof, bug=True)
    return {
        "block": proof.block,
        "property": proof.says,
        "kind": proof.kind,
        "proved": verdict.holds,
        "fails_on_bug": planted.refuted,
        "seconds": round(verdict.seconds, 1),
    }


def markdown(records: list[dict[str, Any]], date: str) -> str:
    """The document of the last results."""
    lines = [
        "# Properties that are proved",
        "",
        "`make formal` writes this. Each property is proved of the block as it is, and refuted of",
        "the block with a fault planted into it. Proofs by induction hold for runs of any length.",
        "",
        "| block | property | for | proved | fails on a planted bug | s |",
        "|---|---|---|---|---|---:|",
    ]
    for r in records:
        cells = r["block"], r["property"], r["kind"], _word(r["proved"]), _word(r["fails_on_bug"])
        lines.append(f"| {' | '.join(cells)} | {r['seconds']} |")
    return "\n".join([*lines, "", f"{len(records)} properties, {date}.", ""])


def _word(right: bool) -> str:
    return "yes" if right else "**no**"


def main() -> int:
    """Command line; 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.formal", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the records as JSON")
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}")
    options = parser.parse_args()
    records = []
    for number, proof in enumerate(PROOFS, start=1):
        record = measure(proof)
        records.append(record)
        right = record["proved"] and record["fails_on_bug"]
        state = "proved" if right else "NOT AS IT SHOULD BE"
        print(
            f"{number}/{len(PROOFS)} {proof.block}: {proof.says}: {state}, {proof.kind},"
            f" {record['seconds']} s",
            file=sys.stderr,
        )
    if options.json:
        print(json.dumps(records, indent=2))
    if options.write:
        date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        DOCUMENT.write_text(markdown(records, date), encoding="utf-8")
    return 0 if all(r["proved"] and r["fails_on_bug"] for r in records) else 1


if __name__ == "__main__":
    sys.exit(main())
