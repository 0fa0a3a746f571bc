"""The document of what became of converted networks, and the one that is committed."""

import re

from npu.survey import Verdict
from tests.converter.conversion import BATCHES, MODES
from tests.converter.report import RESULTS, Key, document, grouped, reason_lines
from tests.converter.samples import SAMPLES

NETWORKS_ASKED = 30

GOOD = Verdict(macs=2_000_000, npu_macs=2_000_000, cycles={"npu32": 9000, "npu256": 1234})
PART = Verdict(macs=1_000_000, npu_macs=900_000, cpu_macs={"SVDF: not on the NPU": 100_000})
WIDE = Verdict(macs=1_000_000, cpu_macs={"CONV_2D: inputs and outputs must be int8": 1_000_000})
BROKEN = Verdict(failures={"reference": "differs"}, macs=1, npu_macs=1)
VERDICTS: dict[Key, Verdict] = {
    ("a", "none", "int8"): GOOD,
    ("a", "none", "int16x8"): WIDE,
    ("b", "none", "uint8"): PART,
    ("b", "one", "int8"): BROKEN,
    ("c", "one", "int8"): Verdict(golden="no TILE"),
}
REFUSED: dict[Key, str] = {
    ("a", "one", "int8"): "converter: no",
    ("c", "one", "int8"): "TFLM: no TILE",
    ("c", "one", "uint8"): "TFLM: no TILE",
}


def test_every_form_has_its_sign() -> None:
    lines = document(VERDICTS, REFUSED, "tools 1.0").splitlines()
    assert "3 of 4 files that TFLM runs are bit-exact on every backend; TFLM refuses 2, the" in (
        " ".join(lines)
    )
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("|")}
    assert rows["a"] == "| a | = |  |  | = | C |  |  |  | 2.00 | 100.0% | 1,234 |"
    assert rows["b"] == "| b |  | = |  |  | X |  |  |  | 1.00 | 90.0% | - |"
    assert rows["c"] == "| c |  |  |  |  | T | T |  |  | - | - | - |"
    assert "- TFLM: no TILE (c/one/int8, c/one/uint8)" in lines


def test_what_differs_from_run_to_run_is_left_out() -> None:
    refused = {
        ("a", "one", "int8"): 'converter: X: <unknown>:0: error: loc(callsite(fused["Op:", "f_12',
        ("b", "one", "int8"): 'converter: X: <unknown>:0: error: loc(callsite(fused["Op:", "f_34',
        ("c", "one", "int8"): "converter: X: /tmp/a.py:12:1: error: 'Op' is wrong",
        ("d", "one", "int8"): "TFLM: Node FILL (number 3) failed",
    }
    assert grouped(refused) == {
        "converter: X: error: in Op": ["a/one/int8", "b/one/int8"],
        "converter: X: error: 'Op' is wrong": ["c/one/int8"],
        "TFLM: Node FILL failed": ["d/one/int8"],
    }


def test_reasons_are_counted_apart() -> None:
    assert reason_lines(VERDICTS) == [
        "int8 activations: 3.333% of their MACs: SVDF: not on the NPU",
        "int8 activations: below 95% on the NPU: b/none/uint8",
        "int16 activations: 100.000% of their MACs: CONV_2D: inputs and outputs must be int8",
    ]
    many = {("b", "none", "int8"): PART}
    assert reason_lines(many)[0].endswith("SVDF: not on the NPU, over 5%")
    assert "every MAC of 1 files is on the NPU" in reason_lines({("a", "none", "int8"): GOOD})[0]


def test_the_committed_document() -> None:
    """Every network in every form, the samples of CI among them, and nothing that fails."""
    text = RESULTS.read_text(encoding="utf-8")
    found = re.findall(r"^\| (\w+) \|((?: [=TC] \|){8}) ", text, re.M)
    rows = {name: signs.replace("|", "").split() for name, signs in found}
    assert len(rows) >= NETWORKS_ASKED
    forms = [(batch, mode) for batch in BATCHES for mode in MODES]
    for name, *form in SAMPLES:
        batch, mode = form
        assert rows[name][forms.index((batch, mode))] == "=", name
    exact, ran = re.findall(r"^(\d+) of (\d+) files that TFLM runs are bit-exact", text, re.M)[0]
    assert exact == ran
    assert sum(signs.count("=") for signs in rows.values()) == int(exact)
