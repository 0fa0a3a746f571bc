"""F: compute on the edge or in the cloud: a calculator on measured cycles."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from npu.model.tflite_reader import read_model_bytes
from npu.optimize.measure import measure
from npu.zoo.cpu import cpu_measurement
from npu.zoo.record import FOLDER, read_record
from npu.zoo.system import System, Table
from npu.zoo.systems.a_score_sheet import SYSTEM as SCORE_SHEET
from rtl.config import PRESETS

PRESET = "npu256"
RATES = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Mbit/s."""

HIGHEST_RATE = 1e6


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What is not measured; each is an input, and none is claimed.

    Attributes
    ----------
    clock_mhz : of core and NPU. link_mbit : of the radio, both ways.
    round_trip_ms : of the link, empty. server_ms : of one inference in the cloud.
    core_mw, npu_mw, radio_mw : power while the core, core and NPU, or the radio works.
    wait_mw : power while the answer is awaited. answer_bytes : of the scores, with their frame.
    """

    clock_mhz: float = 100.0
    link_mbit: float = 1.0
    round_trip_ms: float = 30.0
    server_ms: float = 5.0
    core_mw: float = 50.0
    npu_mw: float = 100.0
    radio_mw: float = 400.0
    wait_mw: float = 60.0
    answer_bytes: int = 64


@dataclass(frozen=True)
class Cost:
    """Latency in ms, energy of the device in mJ."""

    latency: float
    energy: float


def on_device(cycles: int, milliwatts: float, given: Assumptions) -> Cost:
    """`cycles` at the clock, at a power."""
    latency = cycles / (given.clock_mhz * 1e3)
    return Cost(latency, latency * milliwatts / 1e3)


def offloaded(sample_bytes: int, given: Assumptions) -> Cost:
    """A sample is sent, computed elsewhere, and the answer comes back."""
    bits = 8 * (sample_bytes + given.answer_bytes)
    sending = bits / (given.link_mbit * 1e3)
    waiting = given.round_trip_ms + given.server_ms
    return Cost(sending + waiting, (sending * given.radio_mw + waiting * given.wait_mw) / 1e3)


def break_even(sample_bytes: int, device: Cost, given: Assumptions, figure: str) -> float | None:
    """The rate in Mbit/s from which the cloud is better in `figure`; None if it never is."""
    limit = getattr(device, figure)

    def cloud(rate: float) -> float:
        return float(getattr(offloaded(sample_bytes, replace(given, link_mbit=rate)), figure))

    if cloud(HIGHEST_RATE) >= limit:
        return None
    low, high = 1e-9, HIGHEST_RATE
    # it falls with the rate, over many orders of magnitude
    for _ in range(200):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if cloud(middle) > limit else (low, middle)
    return high


def measured() -> Sequence[Table]:
    """System A's network on the core, on the NPU, and over links of several rates."""
    given = Assumptions()
    record = read_record(SCORE_SHEET)
    assert record is not None
    assert record.dense is not None
    content = (FOLDER / record.dense.file).read_bytes()
    graph = read_model_bytes(content, record.dense.file)
    cycles = measure(content, PRESETS[PRESET], stage="", file="").cycles
    assert cycles is not None
    sample = sum(graph.tensors[i].size for i in graph.inputs)
    core = on_device(cpu_measurement(graph).cycles, given.core_mw, given)
    npu = on_device(cycles, given.npu_mw, given)
    rows = [["core alone", *_cells(core)], [f"core with {PRESET}", *_cells(npu)]]
    for rate in RATES:
        cost = offloaded(sample, replace(given, link_mbit=rate))
        rows.append([f"cloud over {rate:g} Mbit/s", *_cells(cost)])
    told = ", ".join(f"{each.name} {getattr(given, each.name):g}" for each in fields(given))
    ends = [
        [name, *(_rate(break_even(sample, cost, given, f)) for f in ("latency", "energy"))]
        for name, cost in (("core alone", core), (f"core with {PRESET}", npu))
    ]
    return [
        Table(
            f"One inference of system A ({sample} bytes in)",
            ("where", "latency, ms", "energy of the device, mJ"),
            rows,
            [f"Cycles are measured; all else is assumed, and can be changed: {told}."],
        ),
        Table(
            "The cloud is better from this rate on",
            ("than", "in latency", "in energy"),
            ends,
        ),
    ]


def _cells(cost: Cost) -> list[str]:
    return [f"{cost.latency:.3f}", f"{cost.energy:.4f}"]


def _rate(rate: float | None) -> str:
    return "never" if rate is None else f"{rate:.4g} Mbit/s"


SYSTEM = System(
    letter="F",
    slug="f_edge_cloud",
    title="edge against cloud",
    published="survey, no figure",
    data="none: it computes with the cycles of system A's network",
    licence="no data",
    page="""\
The survey: a network can run on the device or in the cloud; what is better depends on the link.
Here it is a calculator: latency and energy of one inference on the core alone, on the core with the
NPU, and offloaded over a link, and the rate of the link from which the cloud is better.
Measured are the cycles, of system A's network: those of the core with optimized kernels in RTL
simulation, those of the NPU by the cycle model, which equals the RTL.
Assumed is everything else: clock, rates, round trip, the server's time, and every power. Each is a
named input (`npu.zoo.systems.f_edge_cloud.Assumptions`); none was measured by this project.
The numbers: `never` says that the round trip and the server alone take longer, or more, than the
device does itself. Energy is an estimate from assumed powers, the device's only.
Nothing is trained, so accuracy and the networks' columns are dashes.""",
    reason="a calculator on the network of system A: nothing is trained",
    measured=measured,
)
