"""Who evaluates points: this process, a pool of processes, or a Dask cluster (`cluster`)."""

import itertools
import multiprocessing
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Protocol

from npu.errors import ExploreError
from npu.explore.evaluate import evaluate
from npu.explore.space import Point
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model

WAITING_PER_WORKER = 4
"""Batches handed to the pool ahead of time: enough to keep it busy, few to cancel."""

BATCH_SECONDS = 0.5
"""What a batch should take: what handing it over costs is then nothing beside it."""

LARGEST_BATCH = 64

Result = dict[str, Any]
Task = tuple[int, Point]
"""A number that the caller knows the point by, and the point."""

Batch = list[tuple[int, Result]]


class Workers(Protocol):
    """Evaluates points, any number of times, until it is closed."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Batch]:
        """Results as they come, each with the task's number.

        Raises
        ------
        ExploreError : a process died, or a cluster cannot be reached.
        """

    def close(self) -> None:
        """End what was started."""


class BatchSize:
    """How many points make a batch of `BATCH_SECONDS`, as measured."""

    def __init__(self) -> None:
        self._seconds = 0.1

    def __call__(self) -> int:
        return max(1, min(LARGEST_BATCH, int(BATCH_SECONDS / self._seconds)))

    def measured(self, points: int, seconds: float) -> None:
        """Take account of a batch that is done."""
        self._seconds += 0.3 * (seconds / points - self._seconds)


class InProcess:
    """Evaluates here, one after the other."""

    def __init__(self, models: Sequence[Path]) -> None:
        self._graphs = [read_model(model) for model in models]

    def run(self, tasks: Iterable[Task]) -> Iterator[Batch]:
        for number, point in tasks:
            yield [(number, evaluate(self._graphs[point.model], point))]

    def close(self) -> None:
        pass


class Pool:
    """Evaluates in `jobs` processes of this machine.

    What Numba compiles at its first use is compiled once, here, and found in its cache by workers:
    points are evaluated in this process until one works.
    """

    def __init__(self, models: Sequence[Path], jobs: int) -> None:
        self._jobs = jobs
        self._here = InProcess(models)
        self._models = tuple(models)
        self._pool: ProcessPoolExecutor | None = None
        self._size = BatchSize()

    def run(self, tasks: Iterable[Task]) -> Iterator[Batch]:
        remaining = iter(tasks)
        if self._pool is None:
            for found in self._here.run(remaining):
                yield found
                if found[0][1]["status"] == "ok":
                    break
            else:
                return
            # a fresh interpreter: a forked one inherits locks of threads that it does not have; it
            # gets little when it starts, since whoever writes more than a pipe holds to one that
            # died hangs
            self._pool = ProcessPoolExecutor(
                self._jobs,
                multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(self._models,),
            )
        waiting: set[Future[tuple[Batch, float]]] = set()
        try:
            while True:
                while len(waiting) < self._jobs * WAITING_PER_WORKER:
                    batch = list(itertools.islice(remaining, self._size()))
                    if not batch:
                        break
                    waiting.add(self._pool.submit(_evaluate_in_worker, batch))
                if not waiting:
                    return
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    results, seconds = future.result()
                    self._size.measured(len(results), seconds)
                    yield results
        except BrokenProcessPool:
            raise ExploreError(
                "a worker process died (out of memory?); finished points are kept, run the same"
                " command again to go on, with fewer --jobs"
            ) from None
        finally:
            for future in waiting:
                future.cancel()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


_graphs: list[Graph] = []


def _start_worker(models: Sequence[Path]) -> None:
    # an interrupt goes to the whole process group; the parent decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _graphs.extend(read_model(model) for model in models)


def _evaluate_in_worker(batch: Sequence[Task]) -> tuple[Batch, float]:
    begin = time.perf_counter()
    results = [(number, evaluate(_graphs[point.model], point)) for number, point in batch]
    return results, time.perf_counter() - begin
