"""What became of the networks in all their forms, as a document."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from npu.survey import Verdict
from tests.converter.conversion import BATCHES, MODES

RESULTS = Path(__file__).with_name("RESULTS.md")
CONFIG = "npu256"
REASON_SHARE_ASKED = 0.05
OFFLOAD_ASKED = 0.95
WIDE = "int16x8"
"""The mode with int16 activations, which the NPU's grid of 8 bits does not take."""

# what MLIR says of where it was, and which operator it means
PLACE = re.compile(r"(?:\S+:\d+:\d+|<unknown>:0): ")
OPERATOR = re.compile(r'loc\(callsite\(fused\["(\w+):.*')
NODE = re.compile(r" \(number \d+\)")

Key = tuple[str, str, str]
"""Network, batch and mode."""


def document(verdicts: Mapping[Key, Verdict], refused: Mapping[Key, str], tools: str) -> str:
    """Markdown: totals, one line a network, what is refused, and why MACs stay on the CPU.

    Parameters
    ----------
    verdicts : of the files that the converter made.
    refused : what the converter or TFLM said of those that do not run.
    tools : their names and versions.
    """
    return "\n".join(
        (
            "# Keras networks through TensorFlow's converter",
            "",
            "Written by `make test-converter`. Each of `tests/converter/networks` with random"
            " weights, batch None and 1, int8, uint8 and float ends, and int16x8; in TFLM and on"
            " the backends reference, functional and cycle of npu32, npu64 and npu256, every"
            f" tensor compared. {tools}.",
            "",
            totals_line(verdicts, refused),
            "",
            "In the table: `=` bit-exact everywhere, `T` TFLM does not run it, `C` the converter"
            f" does not make it, `X` fails here. MACs on the NPU and cycles ({CONFIG}) are those of"
            " the first form with int8 activations that runs.",
            "",
            *_table(verdicts, refused),
            "",
            "## Refused",
            "",
            *(f"- {reason} ({', '.join(names)})" for reason, names in grouped(refused).items()),
            "",
            "## On the CPU",
            "",
            *(f"- {line}" for line in reason_lines(verdicts)),
            "",
        )
    )


def totals_line(verdicts: Mapping[Key, Verdict], refused: Mapping[Key, str]) -> str:
    """How many ran, how many are exact, and how many were refused by whom."""
    ran = [verdict for verdict in verdicts.values() if verdict.ran]
    exact = sum(not verdict.failures for verdict in ran)
    by_converter = sum(reason.startswith("converter: ") for reason in refused.values())
    return (
        f"{exact} of {len(ran)} files that TFLM runs are bit-exact on every backend; TFLM refuses"
        f" {len(refused) - by_converter}, the converter {by_converter}."
    )


def _table(verdicts: Mapping[Key, Verdict], refused: Mapping[Key, str]) -> Iterable[str]:
    forms = [(batch, mode) for batch in BATCHES for mode in MODES]
    short = {"none": "None", "one": "1"}
    headings = [f"{short[batch]}, {mode}" for batch, mode in forms]
    yield "| network | " + " | ".join(headings) + " | MMAC | on NPU | cycles |"
    yield "|---" + "|:-:" * len(forms) + "|--:" * 3 + "|"
    for name in dict.fromkeys(key[0] for key in (*verdicts, *refused)):
        cells = [_sign((name, *form), verdicts, refused) for form in forms]
        yield f"| {name} | " + " | ".join((*cells, *_numbers(name, verdicts))) + " |"


def _sign(key: Key, verdicts: Mapping[Key, Verdict], refused: Mapping[Key, str]) -> str:
    if key in refused:
        return "C" if refused[key].startswith("converter: ") else "T"
    if key not in verdicts:
        return ""
    return "X" if verdicts[key].failures else "="


def _numbers(name: str, verdicts: Mapping[Key, Verdict]) -> tuple[str, str, str]:
    for (network, _, mode), verdict in verdicts.items():
        if network == name and mode != WIDE and verdict.ran:
            cycles = verdict.cycles.get(CONFIG)
            return (
                f"{verdict.macs / 1e6:.2f}",
                f"{verdict.npu_share:.1%}",
                "-" if cycles is None else f"{cycles:,}",
            )
    return ("-", "-", "-")


def grouped(refused: Mapping[Key, str]) -> dict[str, list[str]]:
    """The networks and forms of each reason, without numbers that differ from run to run."""
    found: dict[str, list[str]] = defaultdict(list)
    for key, reason in refused.items():
        said = PLACE.sub("", OPERATOR.sub(r"in \1", reason))
        found[NODE.sub("", said)].append("/".join(key))
    return found


def reason_lines(verdicts: Mapping[Key, Verdict]) -> list[str]:
    """Why MACs are on the CPU, by their part of all, of int8 and of int16 activations apart."""
    lines: list[str] = []
    for title, wide in (("int8 activations", False), ("int16 activations", True)):
        ran = {k: v for k, v in verdicts.items() if v.ran and (k[2] == WIDE) == wide}
        macs = sum(verdict.macs for verdict in ran.values())
        reasons: Counter[str] = Counter()
        for verdict in ran.values():
            reasons.update(verdict.cpu_macs)
        for reason, count in reasons.most_common():
            over = count > REASON_SHARE_ASKED * macs and not wide
            sign = f", over {REASON_SHARE_ASKED:.0%}" if over else ""
            lines.append(f"{title}: {count / macs:.3%} of their MACs: {reason}{sign}")
        if ran and not reasons:
            lines.append(f"{title}: every MAC of {len(ran)} files is on the NPU")
        below = ["/".join(key) for key, verdict in ran.items() if verdict.npu_share < OFFLOAD_ASKED]
        if ran and not wide:
            lines.append(f"{title}: below {OFFLOAD_ASKED:.0%} on the NPU: {_listed(below)}")
    return lines


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
