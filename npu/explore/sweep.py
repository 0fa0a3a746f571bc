"""Runs the points of a sweep, and keeps each result as it comes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from npu.explore.space import Point
from npu.explore.store import Store, network_key
from npu.explore.workers import InProcess, Pool, Workers

Progress = Callable[[int, int], None]
Results = list[dict[str, Any]]


@contextmanager
def open_workers(
    models: Sequence[Path], jobs: int, scheduler: str | None = None
) -> Iterator[Workers]:
    """Those of the cluster whose scheduler has that address, or `jobs` processes of this machine,
    where 1 is this one; ended with the block.

    Raises
    ------
    ExploreError : the scheduler cannot be reached, or Dask is not installed.
    """
    workers: Workers
    if scheduler is not None:
        from npu.explore.cluster import Cluster

        workers = Cluster(models, scheduler)
    else:
        workers = InProcess(models) if jobs == 1 else Pool(models, jobs)
    try:
        yield workers
    finally:
        workers.close()


def sweep(
    models: Sequence[Path],
    points: Sequence[Point],
    *,
    jobs: int,
    progress: Progress,
    resume: bool = True,
    store: Store | None = None,
) -> Results:
    """Evaluate `points`; returns their results in the same order.

    Finished points are kept on disk at once. With `resume`, those of earlier sweeps over the same
    networks by the same version of the tool are taken from there.

    Parameters
    ----------
    models : files of the networks that the points refer to.
    jobs : parallel processes; 1 runs in this process.
    progress : called with points done and points in total.
    store : where results are kept; None is the cache folder.

    Raises
    ------
    ExploreError : a process died, for example because memory ran out, or the store fails.
    """
    if store is None:
        with Store() as store:
            return sweep(models, points, jobs=jobs, progress=progress, resume=resume, store=store)
    with open_workers(models, min(jobs, max(len(points), 1))) as workers:
        return Evaluation(models, workers, store, resume=resume).results(points, progress)


class Evaluation:
    """Points to results, through a store: what it has is not computed again.

    Parameters
    ----------
    models : files of the networks that points refer to. workers : compute. store : keeps.
    resume : whether to take what the store has from before.

    Attributes
    ----------
    computed : points that were computed here. networks : keys of the models.
    """

    def __init__(
        self, models: Sequence[Path], workers: Workers, store: Store, *, resume: bool = True
    ) -> None:
        self.networks = [network_key(model.read_bytes()) for model in models]
        self.computed = 0
        self._workers = workers
        self._store = store
        self._resume = resume

    def results(self, points: Sequence[Point], progress: Progress | None = None) -> Results:
        """The results of `points`, in order; equal points are computed once."""
        results: list[dict[str, Any] | None] = [None] * len(points)
        if self._resume:
            results = self._known(points)
        first: dict[tuple[int, tuple[Any, ...]], int] = {}
        twins: dict[int, list[int]] = {}
        for index, point in enumerate(points):
            if results[index] is None:
                key = (point.model, tuple(point.values.items()))
                twins.setdefault(first.setdefault(key, index), []).append(index)
        done = len(points) - sum(map(len, twins.values()))
        if progress:
            progress(done, len(points))
        for batch in self._workers.run((index, points[index]) for index in twins):
            by_network: dict[str, list[tuple[Point, dict[str, Any]]]] = {}
            for index, result in batch:
                point = points[index]
                by_network.setdefault(self.networks[point.model], []).append((point, result))
                for twin in twins[index]:
                    results[twin] = result
                done += len(twins[index])
                self.computed += 1
            for network, found in by_network.items():
                self._store.add(network, found)
            if progress:
                progress(done, len(points))
        return [result for result in results if result is not None]

    def _known(self, points: Sequence[Point]) -> list[dict[str, Any] | None]:
        results: list[dict[str, Any] | None] = [None] * len(points)
        for model, network in enumerate(self.networks):
            own = [index for index, point in enumerate(points) if point.model == model]
            found = self._store.get(network, [points[index] for index in own])
            for index, result in zip(own, found, strict=True):
                results[index] = result
        return results
