"""What trains needs TensorFlow; without it nothing here is collected."""

import importlib.util
from pathlib import Path

import pytest

from tests.support.training import hide_devices, ignore_library_warnings, say_untested

MISSING = [name for name in ("tensorflow",) if importlib.util.find_spec(name) is None]
if MISSING:
    collect_ignore_glob = ["test_*.py"]
hide_devices()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud that no recipe of the zoo was tested."""
    say_untested(terminalreporter, "recipes of the zoo are not tested", MISSING)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ignore_library_warnings(items, Path(__file__).parent)


@pytest.fixture(scope="session", autouse=True)
def _prepared() -> None:
    from npu.optimize.training.environment import prepare

    prepare(0, threads=1)
