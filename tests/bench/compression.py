"""What decoders of weights save: cycles and bytes, each network against itself dense."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from npu.golden import compare, run_golden
from npu.inference import infer
from npu.model.tflite_reader import read_model_bytes
from npu.offload.network import CompiledNetwork
from rtl.config import PRESETS, NpuConfig
from rtl.isa import Destination, Opcode
from sim.cycle import simulate
from tests.bench.measure import Machine
from tests.bench.networks import Network
from tests.bench.tables import new_table, percent, thousands
from tests.support.compressed_models import Change, changed, clustered, pruned, without_words
from tests.support.shared_models import FOLDER

DENSE, DECODING = "npu256", "npu256c"
SEED = 1
LOADED = (Destination.WEIGHTS, Destination.ENCODED, Destination.LIST)

_GRID = PRESETS[DECODING].channels, PRESETS[DECODING].lanes


@dataclass(frozen=True)
class Case:
    """A network made compressible, and what is asked of it: shares of the dense network's cycles
    and weight bytes at most, cycles saved at least."""

    network: str
    what: str
    change: Change | None
    ends: bool = True
    cycles: float | None = None
    weight_bytes: float | None = None
    saved: int | None = None

    def model(self, folder: Path = FOLDER) -> bytes:
        """The file's bytes."""
        raw = (folder / f"{self.network}.tflite").read_bytes()
        return raw if self.change is None else changed(raw, self.change, ends=self.ends)


CASES = (
    Case("mlperf_ad_toycar", "16 values a tensor", clustered, cycles=0.55),
    Case("mlperf_vww_mbv1_96", "as published", None, weight_bytes=0.4, saved=6_000),
    Case(
        "mlperf_ic_resnet8",
        f"75 % of words zero, seed {SEED}",
        partial(without_words, share=0.75, channels=_GRID[0], lanes=_GRID[1], seed=SEED),
        ends=False,
        cycles=0.42,
    ),
    Case(
        "mlperf_ic_resnet8",
        "80 % of weights zero",
        partial(pruned, share=0.8),
        cycles=1.0,
        weight_bytes=0.4,
    ),
    Case("tflm_mobilenet_v2_224", "16 values a tensor", clustered, weight_bytes=0.6, saved=70_000),
)


def weight_stream_bytes(model: bytes, config: NpuConfig) -> int:
    """Bytes that LOADs bring for weights: their streams, with tables, masks and lists."""
    network = CompiledNetwork(read_model_bytes(model, "network"), config)
    return sum(
        command["rows"] * command["row_bytes"]
        for program in network.programs.values()
        for command in program.decode()
        if command.opcode == Opcode.LOAD and command["destination"] in LOADED
    )


def modelled_cycles(model: bytes, config: NpuConfig) -> int:
    """Cycles of an inference by the cycle model."""
    network = CompiledNetwork(read_model_bytes(model, "network"), config)
    return sum(simulate(program).cycles for program in network.programs.values())


def run(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Measure every case on the RTL, or with `quick` by the cycle model and the functional one."""
    table = new_table(
        f"{DECODING} (decoders of weights) against the dense network on the same hardware",
        *("network", "weights", "cycles, dense", "cycles", "of dense", "weight bytes", "of dense"),
        *("asked", "met", "bit-exact"),
    )
    records = measure(quick=quick)
    for record in records:
        table.add_row(
            record["network"],
            record["weights"],
            thousands(record["dense_cycles"]),
            thousands(record["cycles"]),
            percent(record["cycles"] / record["dense_cycles"]),
            f"{record['weight_bytes']:,}",
            percent(record["weight_bytes"] / record["dense_weight_bytes"]),
            record["asked"],
            "yes" if record["met"] else "no",
            "yes" if record["bit_exact"] else "NO",
        )
    console.print(table)
    return records


def measure(*, quick: bool) -> list[dict[str, Any]]:
    """A record for every case whose network is there."""
    machine = None if quick else Machine(DECODING)
    present = [case for case in CASES if (FOLDER / f"{case.network}.tflite").is_file()]
    return [_measure(case, machine) for case in present]


def markdown(records: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown."""
    heading = [
        *("network", "weights", f"cycles, {DENSE}", f"cycles, {DECODING}", "of dense"),
        *("weight bytes", "of dense", "bit-exact"),
    ]
    lines = [f"| {' | '.join(heading)} |", f"|---|---|{'---:|' * (len(heading) - 3)}---|"]
    for r in records:
        cells = (
            *(r["network"], r["weights"], f"{r['dense_cycles']:,}", f"{r['cycles']:,}"),
            percent(r["cycles"] / r["dense_cycles"]),
            f"{r['weight_bytes']:,}",
            percent(r["weight_bytes"] / r["dense_weight_bytes"]),
            "yes" if r["bit_exact"] else "**no**",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _measure(case: Case, machine: Machine | None) -> dict[str, Any]:
    model, dense = case.model(), (FOLDER / f"{case.network}.tflite").read_bytes()
    before = modelled_cycles(dense, PRESETS[DENSE])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{case.network}.tflite"
        path.write_bytes(model)
        network = Network(case.network, path)
        if machine is None:
            cycles, exact = modelled_cycles(model, PRESETS[DECODING]), _bit_exact(network)
        else:
            measured = machine.measure(network)
            cycles, exact = measured.cycles, measured.bit_exact
    sizes = [
        weight_stream_bytes(model, PRESETS[DECODING]),
        weight_stream_bytes(dense, PRESETS[DENSE]),
    ]
    met = [
        case.cycles is None or cycles <= case.cycles * before,
        case.weight_bytes is None or sizes[0] <= case.weight_bytes * sizes[1],
        case.saved is None or before - cycles >= case.saved,
    ]
    return {
        "network": case.network,
        "weights": case.what,
        "dense_cycles": before,
        "cycles": cycles,
        "weight_bytes": sizes[0],
        "dense_weight_bytes": sizes[1],
        "asked": "; ".join(_asked(case)),
        "met": all(met),
        "bit_exact": exact,
    }


def _bit_exact(network: Network) -> bool:
    """Whether the functional simulator's outputs are TFLM's."""
    config = PRESETS[DECODING]
    result = infer(network.graph, network.inputs, config=config, backend="functional")
    golden = run_golden(network.path.read_bytes(), network.graph, network.inputs)
    known = {i: result.outputs[i] for i in network.graph.outputs}
    return bool(compare(network.graph, golden, known).bit_exact)


def _asked(case: Case) -> list[str]:
    found = []
    if case.cycles is not None:
        found.append(f"cycles at most {percent(case.cycles)}")
    if case.weight_bytes is not None:
        found.append(f"bytes at most {percent(case.weight_bytes)}")
    if case.saved is not None:
        found.append(f"{case.saved:,} cycles less")
    return found
