"""What folders of tests have in common that need TensorFlow, and say where it is not installed."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

NO_TRAINING = "TensorFlow is not installed: pip install -e '.[train,soc]'; no wheel for Python 3.14"


def hide_devices() -> None:
    """TensorFlow, imported later, looks for no accelerator and says little."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


def say_untested(reporter: pytest.TerminalReporter, what: str, missing: Sequence[str]) -> None:
    """Say aloud `what` was not tested for want of packages; nothing if none is `missing`."""
    if missing:
        reporter.section(what, sep="!", red=True, bold=True)
        reporter.line(
            f"{' and '.join(missing)}: pip install -e '.[train]', with Python 3.13 or older",
            red=True,
            bold=True,
        )


def ignore_library_warnings(items: Sequence[pytest.Item], folder: Path) -> None:
    """Libraries' own warnings are no errors of tests below `folder`."""
    for item in items:
        if item.path.is_relative_to(folder):
            for category in ("DeprecationWarning", "FutureWarning", "UserWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore::{category}"))
