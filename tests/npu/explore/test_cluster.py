"""A real scheduler and workers on this machine: killed, restarted, and no point lost or doubled."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from npu.errors import ExploreError
from npu.explore import cluster as cluster_module
from npu.explore.cluster import Cluster
from npu.explore.space import Point, Space
from npu.explore.store import Store
from npu.explore.sweep import Evaluation, sweep
from rtl.config import NpuConfig
from tests.support.command_line import npu

VARIED = {
    "pixels": (2, 4, 8),
    "scratchpad_kib": (32, 64, 128, 256),
    "bus_bytes": (4, 8, 16),
    "burst_beats": (16, 32, 64, 128),
    "outstanding_bursts": (1, 2, 4, 8),
}


class Farm:
    """A scheduler and its workers, as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> None:
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
        )

    def start_workers(self, count: int) -> None:
        for _ in range(count):
            self.workers.append(
                self._start(
                    "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard"
                )
            )

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


@pytest.fixture(name="farm")
def farm_fixture(tmp_path: Path) -> Iterator[Farm]:
    farm = Farm(tmp_path)
    yield farm
    farm.stop()


def points(count: int) -> list[Point]:
    space = Space(NpuConfig(requant_lanes=8), 20, dict(VARIED))
    return list(space.points(1))[:count]


def ignore(done: int, total: int) -> None:
    pass


# what goes wrong in the middle is told by Dask in warnings and logs
@pytest.mark.filterwarnings("default")
def test_no_point_is_lost_or_doubled(
    farm: Farm, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is killed in the middle, then the scheduler with all of its workers."""
    monkeypatch.setattr(cluster_module, "_LOOK_SECONDS", 0.2)
    monkeypatch.setattr("npu.explore.workers.LARGEST_BATCH", 4)
    farm.start_scheduler()
    farm.start_workers(2)
    asked = points(360)
    killed: list[str] = []
    seen: list[int] = []

    def disturb(done: int, total: int) -> None:
        seen.append(done)
        if not killed and done > 20:
            os.kill(farm.workers[0].pid, signal.SIGKILL)
            killed.append("worker")
        elif len(killed) == 1 and done > 60:
            farm.stop()
            farm.start_scheduler()
            farm.start_workers(2)
            killed.append("scheduler")

    workers = Cluster([model], farm.address)
    try:
        with Store(tmp_path / "a.sqlite") as store:
            found = Evaluation([model], workers, store).results(asked, disturb)
            assert len(store) == len(asked)
    finally:
        workers.close()
    assert killed == ["worker", "scheduler"]
    assert seen == sorted(set(seen))
    assert seen[-1] == len(asked)
    some = [0, 17, 180, 359]
    with Store(tmp_path / "b.sqlite") as store:
        here = sweep([model], [asked[at] for at in some], jobs=1, progress=ignore, store=store)
    assert [found[at] for at in some] == here


def test_an_unreachable_scheduler(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 1)
    arguments: list[Any] = ["explore", model, "--vary", "pixels=2", "--scheduler"]
    assert npu(*arguments, "tcp://127.0.0.1:9") == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "scheduler tcp://127.0.0.1:9 cannot be reached" in said.err
    assert len(said.err.splitlines()) == 1
    assert npu(*arguments, "nonsense://x") == 2
    assert "nonsense://x" in capsys.readouterr().err


def test_without_dask(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ExploreError, match=r"needs Dask: pip install 'npu-codesign\[cluster\]'"):
        Cluster([model], "tcp://127.0.0.1:9")


def test_a_worker_of_another_version() -> None:
    with pytest.raises(ExploreError, match="another version"):
        cluster_module._evaluate_batch([], [], "other sources")


@pytest.mark.filterwarnings("default")
def test_a_cluster_without_workers(
    farm: Farm, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "RETURN_SECONDS", 1)
    monkeypatch.setattr(cluster_module, "_LOOK_SECONDS", 0.1)
    farm.start_scheduler()
    workers = Cluster([model], farm.address)
    begin = time.monotonic()
    with pytest.raises(ExploreError, match="has had no worker for 1 s; finished points are kept"):
        list(workers.run(enumerate(points(3))))
    assert time.monotonic() - begin < 20
    workers.close()
