"""Points on the workers of a Dask cluster, which may come, die, and come back."""

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from npu.errors import ExploreError
from npu.explore.evaluate import evaluate
from npu.explore.store import network_key, source_key
from npu.explore.workers import Batch, BatchSize, Task
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes

CONNECT_SECONDS = 10
"""How long a scheduler that was never there is waited for."""

RETURN_SECONDS = 120
"""How long one that went away is waited for, and a cluster without workers."""

BATCHES_PER_THREAD = 2
"""Handed to the scheduler ahead of time for each thread of its workers."""

_LOOK_SECONDS = 1.0


class Cluster:
    """Evaluates on a Dask cluster.

    A batch whose worker dies goes to another one. When the scheduler goes away and comes back,
    what it had is handed to it again: a batch is done when its results are here, once.

    Parameters
    ----------
    models : files of the networks, which are sent to each worker once.
    address : of the scheduler, such as `tcp://host:8786`.

    Raises
    ------
    ExploreError : Dask is not installed, or the scheduler cannot be reached.
    """

    def __init__(self, models: Sequence[Path], address: str) -> None:
        try:
            import distributed
        except ImportError:
            raise ExploreError(
                "--scheduler needs Dask: pip install 'npu-codesign[cluster]'"
            ) from None
        self._distributed = distributed
        self._address = address
        contents = [(model.stem, model.read_bytes()) for model in models]
        self._networks = {network_key(content): (name, content) for name, content in contents}
        self._keys = [network_key(content) for _, content in contents]
        self._size = BatchSize()
        self._news = threading.Event()
        self._client = self._connect(CONNECT_SECONDS)

    def _connect(self, seconds: float) -> Any:
        """A client, with the networks on all workers that there are and will be."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                client = self._distributed.Client(
                    self._address, timeout=min(seconds, CONNECT_SECONDS), set_as_default=False
                )
                client.register_plugin(_make_plugin(self._networks))
                return client
            except (OSError, TimeoutError, ValueError, CancelledError) as error:
                if time.monotonic() >= deadline or isinstance(error, ValueError):
                    reason = str(error).splitlines()[0] if str(error) else "no answer"
                    raise ExploreError(
                        f"scheduler {self._address} cannot be reached ({reason}); finished points"
                        " are kept"
                    ) from None
                time.sleep(0.5)

    def run(self, tasks: Iterable[Task]) -> Iterator[Batch]:
        remaining = iter(tasks)
        again: deque[list[Task]] = deque()
        waiting: dict[Any, list[Task]] = {}
        alone_since: float | None = None
        room = BATCHES_PER_THREAD
        looked = 0.0
        try:
            while True:
                if time.monotonic() - looked > _LOOK_SECONDS:
                    looked = time.monotonic()
                    threads = self._threads()
                    room = BATCHES_PER_THREAD * max(threads, 1)
                    alone_since = None if threads else alone_since or looked
                    if alone_since is not None and looked - alone_since > RETURN_SECONDS:
                        raise ExploreError(
                            f"scheduler {self._address} has had no worker for {RETURN_SECONDS} s;"
                            " finished points are kept"
                        )
                while len(waiting) < room:
                    batch = again.popleft() if again else []
                    batch = batch or list(itertools.islice(remaining, self._size()))
                    if not batch:
                        break
                    waiting[self._submit(batch)] = batch
                if not waiting:
                    return
                self._news.wait(_LOOK_SECONDS / 4)
                self._news.clear()
                for future in [future for future in waiting if future.done()]:
                    batch = waiting.pop(future)
                    results = self._results(future)
                    if results is None:
                        again.append(batch)
                        continue
                    found, seconds = results
                    self._size.measured(len(found), seconds)
                    yield found
                if self._client.status == "closed":
                    again.extend(waiting.values())
                    waiting.clear()
                    self._client = self._connect(RETURN_SECONDS)
        finally:
            for future in waiting:
                future.release()

    def _threads(self) -> int:
        """Of all workers; 0 while the scheduler is away."""
        try:
            return sum(self._client.nthreads().values())
        except (OSError, TimeoutError, CancelledError, RuntimeError, AttributeError):
            return 0

    def _submit(self, batch: list[Task]) -> Any:
        plain = [(number, point.model, point) for number, point in batch]
        future = self._client.submit(
            _evaluate_batch, self._keys, plain, source_key(), pure=False, priority=-batch[0][0]
        )
        future.add_done_callback(lambda _: self._news.set())
        return future

    def _results(self, future: Any) -> tuple[Batch, float] | None:
        """What a batch came to; None when it has to be done again."""
        try:
            found: tuple[Batch, float] = future.result(timeout=RETURN_SECONDS)
            return found
        except self._distributed.KilledWorker:
            raise ExploreError(
                "workers died one after the other over the same points (out of memory?); finished"
                " points are kept, run the same command again to go on"
            ) from None
        except (CancelledError, OSError, TimeoutError):
            # the scheduler went away; workers that it gets must have the networks again
            if self._client.status != "closed":
                self._client.close()
            return None

    def close(self) -> None:
        self._client.close(timeout=5)


_graphs: dict[str, Graph] = {}


def _make_plugin(networks: dict[str, tuple[str, bytes]]) -> Any:
    from distributed import WorkerPlugin

    class Networks(WorkerPlugin):  # type: ignore[misc]
        """Reads networks on a worker when it starts."""

        name = f"npu-networks-{'-'.join(sorted(networks))[:200]}"

        def setup(self, worker: Any) -> None:
            load_networks(networks)

    return Networks()


def load_networks(networks: dict[str, tuple[str, bytes]]) -> None:
    """Have networks ready in this process, by key: name and content of the file."""
    for key, (name, content) in networks.items():
        if key not in _graphs:
            _graphs[key] = read_model_bytes(content, name)


def _evaluate_batch(
    keys: Sequence[str], batch: Sequence[tuple[int, int, Any]], sources: str
) -> tuple[Batch, float]:
    if source_key() != sources:
        raise ExploreError("a worker has another version of the tool than the one that searches")
    begin = time.perf_counter()
    results = [(number, evaluate(_graphs[keys[model]], point)) for number, model, point in batch]
    return results, time.perf_counter() - begin
