"""What a search can make small, or hold below a limit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

from npu.cost.energy import EnergyTable, energy_parts
from npu.cost.model import CostModel
from npu.errors import ExploreError
from rtl.config import NpuConfig

CPU_CYCLES_PER_MAC = 5.0
"""What an operator that is left to the CPU takes there, of TFLM's optimized kernels on VexRiscv
(4.5 in `npu speedup` on the keyword spotter); at the NPU's own clock."""

Values = dict[str, float]


@dataclass(frozen=True)
class Metric:
    """A quantity of a point.

    Attributes
    ----------
    name, unit : as in tables. title : what it is, and how it is known.
    from_area : whether it is known without running anything.
    larger_is_better : whether it is maximized.
    """

    name: str
    unit: str
    title: str
    from_area: bool = False
    larger_is_better: bool = False


METRICS = {
    metric.name: metric
    for metric in (
        Metric("time", "ms", "time of an inference at the point's own estimated clock"),
        Metric("cycles", "cycles", "NPU cycles of an inference, exact"),
        Metric("energy", "uJ", "energy of an inference, an estimate"),
        Metric("area", "LUTeq", "logic, estimated", from_area=True),
        Metric("lut", "LUTeq", "logic, estimated", from_area=True),
        Metric("ff", "FF", "flip-flops, estimated", from_area=True),
        Metric("dsp", "DSP", "MULT18X18D, exact", from_area=True),
        Metric("bram", "block RAM", "DP16KD, exact", from_area=True),
        Metric("mhz", "MHz", "clock, estimated", from_area=True, larger_is_better=True),
        Metric("macs", "MACs/cycle", "multipliers of the grid", from_area=True),
        Metric("cpu_macs", "MACs", "multiplications left to the CPU"),
        Metric("traffic", "bytes", "bytes of the external memory an inference"),
        Metric("accuracy", "", "accuracy of the network's variant", larger_is_better=True),
    )
}
DEFAULT_OBJECTIVES = ("time", "area")


@dataclass(frozen=True)
class Constraint:
    """`metric <= limit`, or `>=` where `at_least`."""

    metric: str
    limit: float
    at_least: bool

    def violation(self, values: Mapping[str, float]) -> float:
        """How far beyond the limit, relative to it; at most 0 where it holds."""
        beyond = values[self.metric] - self.limit
        return (-beyond if self.at_least else beyond) / max(abs(self.limit), 1e-9)

    def __str__(self) -> str:
        return f"{self.metric}{'>=' if self.at_least else '<='}{self.limit:g}"


def parse_objectives(text: str) -> tuple[str, ...]:
    """Metrics of `--objective`, separated by commas.

    Raises
    ------
    ExploreError : an unknown one, one twice, or none.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        _require("--objective", name)
    if len(set(names)) < len(names):
        raise ExploreError(f"--objective: one metric twice in {text!r}")
    return names


def parse_constraints(texts: Sequence[str]) -> tuple[Constraint, ...]:
    """Constraints of `--constraint`, each `metric<=limit` or `metric>=limit`.

    Raises
    ------
    ExploreError : none of these, an unknown metric, or two that contradict each other.
    """
    found = []
    for text in texts:
        match = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*([-+.\deE]+)\s*", text)
        try:
            limit = float(match[3]) if match else inf
        except ValueError:
            limit = inf
        if match is None or limit == inf:
            raise ExploreError(f"--constraint needs METRIC<=NUMBER or METRIC>=NUMBER, got {text!r}")
        _require("--constraint", match[1])
        found.append(Constraint(match[1], limit, match[2] == ">="))
    for low in found:
        for high in found:
            pair = low.metric == high.metric and low.at_least and not high.at_least
            if pair and low.limit > high.limit:
                raise ExploreError(f"--constraint: no point has {low} and {high}")
    return tuple(found)


def _require(option: str, name: str) -> None:
    if name not in METRICS:
        raise ExploreError(f"{option}: unknown metric {name!r}; allowed: {', '.join(METRICS)}")


class Measure:
    """Metrics of hardware, and of networks on it.

    Parameters
    ----------
    model, energy : area and clock; energy of operations.
    weights : of the networks, in the order of their results: what counts how often.
    """

    def __init__(self, model: CostModel, energy: EnergyTable, weights: Sequence[float]) -> None:
        self.model = model
        self.energy = energy
        self.weights = weights
        # a point is asked for when it is proposed, and again when its results are there
        self._hardware = lru_cache(maxsize=2048)(self._of_hardware)

    def hardware(self, config: NpuConfig) -> Values:
        """The metrics that nothing has to run for."""
        return dict(self._hardware(config))

    def _of_hardware(self, config: NpuConfig) -> Values:
        area = self.model.area(config)
        return {
            "area": area.luts,
            "lut": area.luts,
            "ff": area.ffs,
            "dsp": area.dsps,
            "bram": area.block_rams,
            "mhz": self.model.clock(config).mhz,
            "macs": config.macs_per_cycle,
        }

    def all(
        self, config: NpuConfig, results: Sequence[Mapping[str, Any]], accuracy: float | None
    ) -> Values:
        """All metrics of a point: weighted sums over the networks' results of `evaluate`."""
        values = self.hardware(config)
        values.update(dict.fromkeys(("time", "cycles", "energy", "cpu_macs", "traffic"), 0.0))
        for weight, result in zip(self.weights, results, strict=True):
            cycles = result.get("cycles") or 0
            on_cpu = result["cpu_macs"] * CPU_CYCLES_PER_MAC
            ms = (cycles + on_cpu) / values["mhz"] / 1000
            parts: Mapping[str, float] = {}
            if result["status"] == "ok":
                parts = energy_parts(config, result, self.energy, values["lut"], ms)
                moved = result["read_bytes"] + result["write_bytes"]
                values["traffic"] += weight * moved
            values["time"] += weight * ms
            values["cycles"] += weight * cycles
            values["energy"] += weight * sum(parts.values())
            values["cpu_macs"] += weight * result["cpu_macs"]
        values["accuracy"] = 0.0 if accuracy is None else accuracy
        return values
