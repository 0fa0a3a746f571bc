"""The same training in one process and in two."""

import importlib.util

import pytest

from npu.errors import OptimizeError
from npu.zoo import processes
from npu.zoo.processes import Job, batch_part, measure_processes

STEPS = 6
LOSS = 0.93903
"""Behind them: measured, the same in both frameworks and in any number of processes."""


def test_parts_make_the_whole_batch() -> None:
    def part(count: int, rank: int) -> list[int]:
        job = Job(framework="torch", count=count, rank=rank, threads=1, ports=[])
        return [int(label) for label in batch_part(3, job)[1]]

    assert part(2, 0) + part(2, 1) == part(1, 0)


@pytest.mark.parametrize(("framework", "count"), [("tensorflow", 2), ("torch", 1), ("torch", 2)])
def test_all_take_the_same_steps(framework: str, count: int) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: {processes.INSTALL[framework]}")
    found = measure_processes(framework, count, 1, warm=1, steps=STEPS)
    assert found.rate > 0
    assert found.loss == pytest.approx(LOSS, rel=1e-3)


def test_what_cannot_be_measured_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(OptimizeError, match=r"torch is not installed: pip install -e '.\[torch\]'"):
        measure_processes("torch", 1, 1)
    monkeypatch.undo()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(processes.INSTALL, "nothing", "")
    with pytest.raises(OptimizeError, match="nothing: a process of 1 failed: KeyError: 'nothing'"):
        measure_processes("nothing", 1, 1)
