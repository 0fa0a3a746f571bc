"""`npu explore` beside what it replaces and beside peers: points a second, samplers, a cluster.

`make bench-explore`. SCALE-Sim runs in an environment of its own (numpy below 2).
"""

import itertools
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from npu.explore.domain import default_domain
from npu.explore.evaluate import evaluate
from npu.explore.metrics import parse_constraints
from npu.explore.outcome import Outcome, Request, read_networks, run_search
from npu.explore.samplers import SAMPLERS, random_choices
from npu.explore.search import Goal, Variant
from npu.explore.space import Point
from npu.explore.store import Store
from npu.explore.workers import InProcess
from npu.model.tflite_reader import read_model
from npu.offload.network import CompiledNetwork
from rtl.config import NpuConfig
from sim.cycle import simulate
from tests.bench.networks import networks
from tests.bench.scale_sim import ScaleSimError, simulate_layers
from tests.bench.tables import factor, new_table

ASKED_POINTS = 50
"""A CPU-second, on resnet8, with compilation."""

ASKED_FACTOR = 4000
"""Times SCALE-Sim's rate, for timing alone."""

SEEDS = range(5)
WORKERS = 200
FAKE_POINTS = 5000
BUDGET = 150
_BATCH = 50
_REPEATED = 20
_RESNET = "mlperf_ic_resnet8"
_CONSTRAINTS = ("dsp<=156", "bram<=208", "lut<=83640")
"""The largest part that there is a router for."""


def run(console: Console) -> dict[str, Any]:
    """Measure all; returns the numbers."""
    rates = points_per_second(console)
    return {
        "points": rates,
        "peers": peers(console, rates),
        "samplers": samplers(console),
        "million": million(console, rates),
    }


def points_per_second(console: Console) -> dict[str, float]:
    """Random legal points of the default space, compiled and timed in one process."""
    table = new_table("points a CPU-second, one process", "network", "points", "a second", "asked")
    rates = {}
    for network in networks(quick=False):
        if not network.name.startswith("mlperf") or "large" in network.name:
            continue
        graph = read_model(network.path)
        domain = default_domain([graph], NpuConfig(), 20)
        choices = random_choices(domain.dimensions, 1)
        points = [Point(0, domain.values(next(choices))) for _ in range(40)]
        evaluate(graph, points[0])
        begin = time.process_time()
        for point in points:
            evaluate(graph, point)
        rates[network.name] = len(points) / (time.process_time() - begin)
        asked = str(ASKED_POINTS) if network.name == _RESNET else ""
        table.add_row(network.name, str(len(points)), f"{rates[network.name]:.1f}", asked)
    console.print(table)
    return rates


def peers(console: Console, rates: dict[str, float]) -> dict[str, Any]:
    """SCALE-Sim on the layers of resnet8: CPU seconds of one configuration, and its cycles."""
    (network,) = [one for one in networks(quick=False) if one.name == _RESNET]
    graph = read_model(network.path)
    try:
        seconds, cycles = simulate_layers(graph)
    except ScaleSimError as error:
        console.print(str(error))
        return {}
    programs = CompiledNetwork(graph, NpuConfig()).programs.values()
    found = [simulate(program) for program in programs]
    begin = time.process_time()
    for _ in range(_REPEATED):
        for program in programs:
            simulate(program)
    timing = (time.process_time() - begin) / _REPEATED
    table = new_table(
        "SCALE-Sim 3, 16 x 16, convolutions of resnet8, one configuration",
        *("", "CPU-s", "1000 cycles", "faster", "asked"),
    )
    table.add_row("SCALE-Sim", f"{seconds:.2f}", f"{cycles / 1000:.1f}", "", "")
    compiled = 1 / rates[_RESNET]
    ours = sum(result.cycles for result in found)
    table.add_row("npu explore, compiled", f"{compiled:.4f}", "", factor(seconds / compiled), "")
    table.add_row(
        *("npu256, all of it, timing alone", f"{timing:.5f}", f"{ours / 1000:.1f}"),
        *(factor(seconds / timing), factor(ASKED_FACTOR)),
    )
    console.print(table)
    return {"seconds": seconds, "cycles": cycles, "compiled": compiled, "timing": timing}


def samplers(console: Console) -> dict[str, list[float]]:
    """Hypervolume of time and area, in logarithms, at equal budget, five seeds; larger is better.

    The corner is the worst time and area of any front, so that all are measured alike.
    """
    (network,) = [one for one in networks(quick=False) if one.name == _RESNET]
    graph = read_model(network.path)
    domain = default_domain([graph], NpuConfig(), 20)
    goal = Goal(("time", "area"), parse_constraints(_CONSTRAINTS))
    fronts: dict[str, list[list[tuple[float, float]]]] = {}
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "a.sqlite") as store:
        workers = InProcess([network.path])
        for name in SAMPLERS:
            for seed in SEEDS if name != "grid" else (0,):
                request = Request(
                    read_networks([(network.path, 1.0)]),
                    [Variant("as given", (0,))],
                    domain,
                    goal,
                    sampler=name,
                    seed=seed,
                    budget=BUDGET,
                )
                found = run_search(request, store, workers)
                fronts.setdefault(name, []).append(_costs(found))
    everything = [point for many in fronts.values() for front in many for point in front]
    corner = max(point[0] for point in everything), max(point[1] for point in everything)
    table = new_table(
        f"front of time and area of resnet8 on the 85k part, {BUDGET} points: hypervolume",
        *("sampler", "median", "least", "most", "seeds"),
    )
    volumes = {}
    for name, many in fronts.items():
        volumes[name] = own = sorted(hypervolume(front, corner) for front in many)
        row = (f"{value:.3f}" for value in (own[len(own) // 2], own[0], own[-1]))
        table.add_row(name, *row, str(len(own)))
    console.print(table)
    return volumes


def _costs(outcome: Outcome) -> list[tuple[float, float]]:
    return [(trial.metrics["time"], trial.metrics["area"]) for trial in outcome.front]


def hypervolume(front: Sequence[tuple[float, float]], corner: tuple[float, float]) -> float:
    """Area between a front of two costs, both positive, and a corner, in natural logarithms."""
    inside = sorted(
        (math.log(x), math.log(y)) for x, y in front if x <= corner[0] and y <= corner[1]
    )
    right, top = math.log(corner[0]), math.log(corner[1])
    total, height = 0.0, top
    for x, y in inside:
        if y < height:
            total += (right - x) * (height - y)
            height = y
    return total


def million(console: Console, rates: dict[str, float]) -> dict[str, float]:
    """What a million points over 200 workers needs: their demand, and what a coordinator follows.

    A whole random search runs with fake workers, which answer at once with the result of a real
    point: what is left is the coordinator's own work, in CPU seconds: to propose, key, store and
    judge points. A task of Dask costs its scheduler about a millisecond, so that batches of 50
    points need a fiftieth of that a point.
    """
    (network,) = [one for one in networks(quick=False) if one.name == _RESNET]
    graph = read_model(network.path)
    domain = default_domain([graph], NpuConfig(), 20)
    result = evaluate(graph, Point(0, domain.values({})))
    request = Request(
        read_networks([(network.path, 1.0)]),
        [Variant("as given", (0,))],
        domain,
        Goal(("time", "area")),
        sampler="random",
        budget=FAKE_POINTS,
    )
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "a.sqlite") as store:
        begin = time.process_time()
        run_search(request, store, Answering(result))
        capacity = FAKE_POINTS / (time.process_time() - begin)
        size = (Path(folder) / "a.sqlite").stat().st_size / FAKE_POINTS
    demand = WORKERS * rates[_RESNET]
    table = new_table(
        f"a million points of resnet8 over {WORKERS} workers", "", "points a second", "of Dask's"
    )
    batches = 1000 * _BATCH
    table.add_row(f"{WORKERS} workers compute", f"{demand:,.0f}", f"{demand / batches:.0%}")
    table.add_row("one coordinator follows", f"{capacity:,.0f}", f"{capacity / batches:.0%}")
    console.print(table)
    minutes = 1e6 / min(demand, capacity) / 60
    console.print(f"a million points: {minutes:.1f} minutes, {size / 1000:.1f} GB of store")
    return {"demand": demand, "capacity": capacity, "minutes": minutes, "store_bytes": size}


class Answering:
    """Workers that have the same answer to everything, at once."""

    def __init__(self, result: dict[str, Any]) -> None:
        self._result = result

    def run(self, tasks: Iterable[tuple[int, Point]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
        """The answer to all tasks, in batches."""
        remaining = iter(tasks)
        while batch := list(itertools.islice(remaining, _BATCH)):
            yield [(number, self._result) for number, _ in batch]

    def close(self) -> None:
        """Nothing was started."""
