"""Tools end with the command: on failure, on an interrupt, and when the command is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from npu.synth import process
from npu.synth.process import ToolFailedError, Tools, interruptible

CHATTY = """
import subprocess, sys
print("Info: begun", flush=True)
# as yosys starts abc
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
child.wait()
"""
FAILING = 'print("ERROR: no room"); print("and more"); raise SystemExit(3)'


@pytest.fixture(name="tool")
def tool_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts another program in the tools' place."""
    path = tmp_path / "tool.py"
    monkeypatch.setattr(process, "WORKER", path)

    def put(text: str) -> None:
        path.write_text(text)

    return put


def gone(pid: int) -> bool:
    """Whether a process ends within a few seconds; one that nobody waited for has ended."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_failure_says_why(tool: Callable[[str], None], tmp_path: Path) -> None:
    tool(FAILING)
    with Tools(1) as tools, pytest.raises(ToolFailedError) as caught:
        tools.run({}, tmp_path, lambda line: None)
    assert caught.value.code == 3
    assert caught.value.reason == "no room"
    assert ToolFailedError(1, ["", "last words", ""]).reason == "last words"
    ended = "its process ended by SIG"
    assert ToolFailedError(-9, ["1. Executing"]).reason == f"{ended}KILL (out of memory?)"
    assert ToolFailedError(-11, ["1. Executing"]).reason == f"{ended}SEGV"
    assert ToolFailedError(4, []).reason == "exit code 4"
    # yosys passes on what abc says, and then fails for want of its output
    lines = ["ABC: Error: no library", "ERROR: Can't open ABC output file"]
    assert ToolFailedError(1, lines).reason == "no library"


def test_one_failure_ends_the_others(tool: Callable[[str], None], tmp_path: Path) -> None:
    tool(CHATTY)
    seen: list[str] = []

    def fail() -> list[str]:
        while len(seen) < 2:
            time.sleep(0.01)
        raise ValueError("enough")

    with Tools(2) as tools, pytest.raises(ValueError, match="enough"):
        tools.each([lambda: tools.run({}, tmp_path, seen.append), fail])
    assert gone(int(seen[1]))
    with pytest.raises(ToolFailedError):
        tools.run({}, tmp_path, seen.append)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_terminate_is_an_interrupt(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def ask() -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    with interruptible(), pytest.raises(KeyboardInterrupt):
        ask()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_command(number: signal.Signals, tmp_path: Path) -> None:
    """`npu synth` on a real core, stopped while yosys works."""
    pytest.importorskip("pyosys", reason="needs the optional packages: pip install -e '.[synth]'")
    pytest.importorskip("pythondata_cpu_vexriscv", reason="needs pip install -e '.[soc]'")
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", "from npu.cli import main; main()", "synth", "--core"]
    with subprocess.Popen(
        [*command, "vexriscv", "--jobs", "2"],
        env={**os.environ, "NPU_CACHE_DIR": str(cache)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as running:
        workers: list[int] = []
        for _ in range(600):
            workers = children(running.pid)
            if len(workers) == 2 and len(list(cache.glob("synth/*/*/job.json"))) == 2:
                break
            time.sleep(0.05)
        assert len(workers) == 2
        running.send_signal(number)
        running.wait(timeout=30)
        expected = -signal.SIGKILL if number == signal.SIGKILL else 130
        assert running.returncode == expected
        assert all(gone(worker) for worker in workers)
    if number != signal.SIGKILL:
        # what was finished may stay, half a thing has a name with a suffix
        assert [path for path in cache.glob("synth/*") if path.suffix not in ("", ".lock")] == []


def children(pid: int) -> list[int]:
    """Of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(c) for task in tasks.iterdir() for c in (task / "children").read_text().split()]
