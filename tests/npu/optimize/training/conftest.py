"""A small network trained on scikit-learn's digits, once for all tests here."""

import importlib.util
import os
from pathlib import Path

import pytest

MISSING = [name for name in ("tensorflow", "sklearn") if importlib.util.find_spec(name) is None]
if MISSING:
    # nothing of these files can be imported
    collect_ignore_glob = ["test_*.py"]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud that nothing that trains was tested."""
    if MISSING:
        terminalreporter.section("training is not tested", sep="!", red=True, bold=True)
        terminalreporter.line(
            f"{' and '.join(MISSING)}: pip install -e '.[train]', with Python 3.13 or older",
            red=True,
            bold=True,
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


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `.keras` file of a network with batch normalization and a depthwise layer."""
    from tests.npu.optimize.training.small_network import train_small

    path = tmp_path_factory.mktemp("keras") / "digits.keras"
    train_small().save(path)
    return path
