"""What every run of the suite ends with."""

import pytest

from tests.support.browsers import NO_BROWSER
from tests.support.shared_models import FOLDER, NETWORKS
from tests.support.training import NO_TRAINING


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud that the public networks are missing: what they would have shown is not shown."""
    missing = [name for name in NETWORKS if not (FOLDER / f"{name}.tflite").is_file()]
    skipped = terminalreporter.stats.get("skipped", [])
    count = sum(str(FOLDER) in str(report.longrepr) for report in skipped)
    if count:
        terminalreporter.section("networks are missing", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{count} tests did not run: {len(missing)} of {len(NETWORKS)} public networks are"
            f" not in {FOLDER} (NPU_MODELS names the folder that has them)",
            red=True,
            bold=True,
        )
    pages = sum(NO_BROWSER in str(report.longrepr) for report in skipped)
    if pages:
        terminalreporter.section("a browser is missing", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{pages} tests of pages did not run: {NO_BROWSER}", red=True, bold=True
        )
    notebooks = sum(NO_TRAINING in str(report.longrepr) for report in skipped)
    if notebooks:
        terminalreporter.section("TensorFlow is missing", sep="!", red=True, bold=True)
        terminalreporter.line(f"the notebook did not run: {NO_TRAINING}", red=True, bold=True)
