"""What trains needs TensorFlow; without it nothing here is collected."""

import importlib.util
import os
from pathlib import Path

import pytest

MISSING = importlib.util.find_spec("tensorflow") is None
if MISSING:
    collect_ignore_glob = ["test_*.py"]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud that no recipe of the zoo was tested."""
    if MISSING:
        terminalreporter.section("recipes of the zoo are not tested", sep="!", red=True, bold=True)
        terminalreporter.line(
            "tensorflow: pip install -e '.[train]', with Python 3.13 or older", red=True, bold=True
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Libraries' own warnings are no errors of ours."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for category in ("DeprecationWarning", "FutureWarning", "UserWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{category}"))


@pytest.fixture(scope="session", autouse=True)
def _prepared() -> None:
    from npu.optimize.training.environment import prepare

    prepare(0, threads=1)
