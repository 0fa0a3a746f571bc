"""What the user is told at first use on a machine, when there is no compiled code yet."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import pytest

from kernels.jit_cache import NUMBA_VARIABLE
from npu.commands.progress import COMPILING, watch_compiler

USE_A_KERNEL = """
import sys
import numpy as np
from kernels.lookup import look_up
from npu.commands.progress import progress_bar
with progress_bar("working", quiet="quiet" in sys.argv):
    look_up(np.zeros(4, np.int8), np.zeros(256, np.int8), np.zeros(4, np.int8))
"""

needs_compiler = pytest.mark.skipif(
    bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled"
)


def use_a_kernel(cache: Path, *arguments: str, terminal: bool = False) -> str:
    """What a process says on standard error that uses a kernel, compiled code being in `cache`."""
    environment = {**os.environ, NUMBA_VARIABLE: str(cache)}
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        environment.pop(name, None)
    if terminal:
        environment["FORCE_COLOR"] = "1"
    command = [sys.executable, "-c", USE_A_KERNEL, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr


@needs_compiler
def test_first_use_is_told_once(tmp_path: Path) -> None:
    assert use_a_kernel(tmp_path) == COMPILING + "\n"
    assert use_a_kernel(tmp_path) == ""


@needs_compiler
def test_quiet_first_use_is_not_told(tmp_path: Path) -> None:
    assert use_a_kernel(tmp_path, "quiet") == ""


@needs_compiler
def test_on_a_terminal_the_bar_tells(tmp_path: Path) -> None:
    """It says it while it lasts, then what it said before, and is gone at the end."""
    first = use_a_kernel(tmp_path, terminal=True)
    assert first.index(COMPILING) < first.rindex("working")
    assert COMPILING not in use_a_kernel(tmp_path, terminal=True)


@needs_compiler
@pytest.mark.parametrize(("module", "told"), [("kernels.new", [True, False]), ("other", [])])
def test_only_code_of_ours_is_told_of(module: str, told: list[bool]) -> None:
    def inner(x: int) -> int:
        return x + 1

    inner.__module__ = module
    compiled: Any = numba.njit(inner)

    def outer(x: int) -> Any:
        return compiled(x)

    outer.__module__ = module
    caller: Any = numba.njit(outer)
    found: list[bool] = []
    with watch_compiler(found.append):
        assert caller(1) == 2
    assert found == told
