"""A small network trained on scikit-learn's digits, once for all tests here."""

import importlib.util
from pathlib import Path

import pytest

from tests.support.training import hide_devices, ignore_library_warnings, say_untested

MISSING = [name for name in ("tensorflow", "sklearn") if importlib.util.find_spec(name) is None]
if MISSING:
    # nothing of these files can be imported
    collect_ignore_glob = ["test_*.py"]
hide_devices()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud that nothing that trains was tested."""
    say_untested(terminalreporter, "training is not tested", MISSING)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ignore_library_warnings(items, Path(__file__).parent)


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
