"""A sample of the tests with Numba switched off: compiled code hides what Python refuses."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.layers import INTERPRETED

ROOT = Path(__file__).resolve().parents[2]
# one test or more of each file that has marked ones, and several seeds or cases of most
FEWEST = 300


@pytest.mark.skipif(INTERPRETED, reason="the sample is part of this run")
def test_marked_tests_pass_interpreted() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "interpreted", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(Path(__file__).parent)],
        cwd=ROOT,
        env=environment | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-4000:]
    assert int(passed[1]) >= FEWEST, done.stdout[-4000:]
