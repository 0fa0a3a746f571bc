"""Runs the points of a sweep in parallel processes."""

import itertools
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from npu.errors import ExploreError
from npu.explore.evaluate import evaluate
from npu.explore.journal import Journal
from npu.explore.space import Point
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model

WAITING_PER_WORKER = 4
"""Points handed to the pool ahead of time: enough to keep it busy, few to cancel."""

Progress = Callable[[int, int], None]
Results = list[dict[str, Any]]

_graphs: list[Graph] = []


def sweep(
    models: Sequence[Path],
    points: Sequence[Point],
    *,
    jobs: int,
    progress: Progress,
    resume: bool = True,
) -> Results:
    """Evaluate `points`; returns their results in the same order.

    Finished points are kept on disk at once. With `resume`, those of earlier sweeps over the same
    networks by the same version of the tool are taken from there.

    Parameters
    ----------
    models : files of the networks that the points refer to.
    jobs : parallel processes; 1 runs in this process.
    progress : called with points done and points in total.

    Raises
    ------
    ExploreError : a process died, for example because memory ran out.
    """
    journals = [Journal(model.read_bytes()) for model in models]
    results: list[dict[str, Any] | None] = [None] * len(points)
    if resume:
        results = [journals[point.model].get(point) for point in points]
    todo = [(index, points[index]) for index, result in enumerate(results) if result is None]
    done = len(points) - len(todo)
    progress(done, len(points))
    for index, result in _evaluate_all(models, todo, min(jobs, max(len(todo), 1))):
        results[index] = result
        journals[points[index].model].add(points[index], result)
        done += 1
        progress(done, len(points))
    return [result for result in results if result is not None]


def _evaluate_all(
    models: Sequence[Path], todo: Sequence[tuple[int, Point]], jobs: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    graphs = [read_model(model) for model in models]
    if jobs == 1:
        for index, point in todo:
            yield index, evaluate(graphs[point.model], point)
        return
    # what Numba compiles at its first use is compiled once, here, and found in its cache by workers
    remaining = iter(todo)
    for index, point in remaining:
        result = evaluate(graphs[point.model], point)
        yield index, result
        if result["status"] == "ok":
            break
    else:
        return
    # a fresh interpreter: a forked one inherits locks of threads that it does not have; it gets
    # little when it starts, since whoever writes more than a pipe holds to one that died hangs
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_start_worker, initargs=(tuple(models),))
    try:
        waiting: dict[Future[dict[str, Any]], int] = {}
        while True:
            for index, point in itertools.islice(
                remaining, jobs * WAITING_PER_WORKER - len(waiting)
            ):
                waiting[pool.submit(_evaluate_in_worker, point)] = index
            if not waiting:
                return
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool:
        raise ExploreError(
            "a worker process died (out of memory?); finished points are kept, run the same"
            " command again to go on, with fewer --jobs"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(models: Sequence[Path]) -> None:
    # an interrupt goes to the whole process group; the parent decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _graphs.extend(read_model(model) for model in models)


def _evaluate_in_worker(point: Point) -> dict[str, Any]:
    return evaluate(_graphs[point.model], point)
