"""K: TFLM with an NPU that skips zeros of compressed weights, on the shapes of MLPerf Tiny."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from npu.optimize.choices import Method
from npu.optimize.measure import measure
from npu.optimize.ready import optimize_ready
from npu.optimize.settings import Pruning, Settings
from npu.speedup.store import SHIPPED
from npu.zoo import model_path
from npu.zoo.system import System, Table
from rtl.config import PRESETS

PRESET = "npu256c"
RATIO, CLUSTERS = 0.75, 16
NETWORKS = ("mlperf_ic_resnet8", "mlperf_kws_dscnn", "mlperf_vww_mbv1_96", "mlperf_ad_toycar")
SHIPPED_NETWORK = "fashion_resnet"
RUNGS = ("reference on VexRiscv", "optimized on VexRiscv", "SIMD on CV32E40P")
WAYS: dict[str, dict[str, Any]] = {
    f"{RATIO:.0%} of words zero": {"prune": Pruning(Method.MAGNITUDE, RATIO)},
    f"{CLUSTERS} values": {"clusters": CLUSTERS},
    "both": {"prune": Pruning(Method.MAGNITUDE, RATIO), "clusters": CLUSTERS},
}


def models_folder() -> Path:
    """Where public networks lie: `NPU_MODELS`, or `../shared/models` beside the checkout."""
    beside = Path(__file__).resolve().parents[4] / "shared" / "models"
    return Path(os.environ.get("NPU_MODELS") or beside)


def cpu_cycles(name: str) -> list[int | None]:
    """What ships of a network's cycles on the CPUs, in the order of `RUNGS`."""
    path = SHIPPED / f"{name}.json"
    known = json.loads(path.read_text(encoding="utf-8")).values() if path.is_file() else ()
    by_rung = {each["rung"]: int(each["cycles"]) for each in known}
    return [by_rung.get(rung) for rung in RUNGS]


def measured() -> Sequence[Table]:
    """Each network dense, pruned, clustered and both; a network that is not there is a note."""
    rows, notes = [], []
    for name in (SHIPPED_NETWORK, *NETWORKS):
        shipped = name == SHIPPED_NETWORK
        path = model_path(name) if shipped else models_folder() / f"{name}.tflite"
        if not path.is_file():
            notes.append(
                f"{name}: no {path.name} in {path.parent.name} (NPU_MODELS names a folder)"
            )
            continue
        content = path.read_bytes()
        files = {"dense": content}
        for way, asked in WAYS.items():
            stages, _ = optimize_ready(content, Settings(**asked), PRESETS[PRESET])
            files[way] = stages[-1][1]
        for way, file in files.items():
            cost = measure(file, PRESETS[PRESET], stage=way, file="")
            assert cost.cycles is not None
            rows.append(
                [
                    f"{name}, {way}",
                    f"{cost.stream_bytes:,}",
                    f"{cost.cycles:,}",
                    *(
                        "-" if cycles is None else f"{cycles / cost.cycles:,.0f}x"
                        for cycles in cpu_cycles(name)
                    ),
                ]
            )
    notes.append(
        "No training follows, so these weights show cycles, not accuracy (npu/optimize/RESULTS.md"
        " has both). Cycles are the NPU's; softmax on the CPU is not in them, but is in the CPU's."
    )
    heading = ("network", "weight bytes read", f"cycles, {PRESET}", *(f"over {r}" for r in RUNGS))
    return [Table("Dense, pruned, clustered", heading, rows, notes)]


SYSTEM = System(
    letter="K",
    slug="k_tiny",
    title="compressed weights of pruned networks, zeros skipped",
    published="up to 724x; CIFAR-10 20 s to 37 ms (540x)",
    data="none: published networks of MLPerf Tiny, and the shipped one",
    licence="no data; the networks of MLPerf Tiny are Apache-2.0 and are not part of this project",
    page="""\
The paper (Manor and Greenberg): TFLM with an accelerator that loads compressed weights of pruned
networks and skips their zeros; a CIFAR-10 network becomes 540 times faster, up to 724 times.
The same here: MLPerf Tiny's four networks and the shipped one of resnet8's shape; dense, with 75 %
of the grid's words zero, with 16 values a tensor, and with both, on hardware with decoders.
The CPU's cycles are those that ship (`npu speedup`), measured in RTL simulation, of TFLM's loops,
of optimized kernels and of SIMD ones. The paper's factors are over TFLM's loops: the first of them.
Not the same: the paper's CIFAR-10 network is not public, and words, not weights, are pruned.
Nothing is trained: weights are pruned by magnitude as they are, which leaves shapes and cycles
right and accuracy wrong. Where accuracy matters, `npu optimize` trains.
The numbers: the factor over optimized kernels is the honest one. The first and last layers stay
dense, depthwise layers too.""",
    reason="a measurement of published networks: nothing is trained",
    measured=measured,
)
