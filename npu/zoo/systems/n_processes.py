"""N: training in one process and in several, in TensorFlow and in PyTorch."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from npu.errors import OptimizeError
from npu.zoo.processes import BATCH, Found, measure_processes
from npu.zoo.system import System, Table

FRAMEWORKS = ("tensorflow", "torch")
SETTINGS = ((1, 1), (1, 2), (2, 1))
"""Processes, and threads of each."""

ROUNDS = 3


def made(folder: Path, log: Callable[[str], None]) -> Sequence[Table]:
    """Images per second of all settings, the best of some rounds: other work only takes time."""
    best: dict[tuple[str, int, int], Found] = {}
    missing: dict[str, str] = {}
    loads = [os.getloadavg()[0]]
    for number in range(ROUNDS):
        for name in FRAMEWORKS:
            for count, threads in SETTINGS:
                if name in missing:
                    continue
                try:
                    found = measure_processes(name, count, threads)
                except OptimizeError as error:
                    missing[name] = str(error)
                    continue
                log(f"round {number + 1}: {name}, {count} x {threads}: {found.rate:,.0f} images/s")
                known = best.get((name, count, threads), found)
                best[name, count, threads] = max(found, known, key=lambda each: each.rate)
        loads.append(os.getloadavg()[0])
    rows = []
    for name in FRAMEWORKS:
        for count, threads in SETTINGS:
            if name in missing:
                rows.append([name, str(count), str(threads), "-", "-", "-"])
                continue
            found = best[name, count, threads]
            over = found.rate / best[name, 1, 1].rate
            cells = [f"{found.rate:,.0f}", f"{over:.2f}x", f"{found.loss:.6f}"]
            rows.append([name, str(count), str(threads), *cells])
    notes = [
        f"LeNet-5, {BATCH} pictures a step over all processes, the best of {ROUNDS} rounds on"
        f" {os.cpu_count()} cores; load average {min(loads):.1f} to {max(loads):.1f} before and"
        " between the rounds, and a load above 1 means that others worked there, too. Equal losses"
        " say that all did the same steps.",
        *(f"Dashes: {reason}." for reason in missing.values()),
    ]
    columns = ("framework", "processes", "threads each", "images/s", "over one", "last loss")
    return [Table("One process and two", columns, rows, notes)]


SYSTEM = System(
    letter="N",
    slug="n_processes",
    title="training in one process and in several",
    published="1.47x",
    data="none: pictures drawn at random, only speed is measured",
    licence="no data",
    page="""\
The paper: the same network is trained in one process and in several that share each batch, in
TensorFlow and in PyTorch; several are 1.47 times as fast.
The same here: LeNet-5, one process with one thread and with two, and two processes with one thread
each; gradients are summed after each step (`tf.distribute`, `torch.distributed` with gloo).
Both frameworks begin with the same weights and see the same pictures in the same order, so that the
losses of all rows must agree; PyTorch is an extra of its own (`pip install -e '.[torch]'`).
Not the same: the network and the machine are not the paper's. Where there are two cores, two
processes can at best be twice as fast as one thread; a small network pays much for its messages.
Nothing of the NPU is in this: what is trained is not kept, so the networks' columns are dashes.
The numbers: images per second of all processes together, and how many times those of one process
with one thread.""",
    reason="only the speed of training is measured, of LeNet-5, whose costs are at system I",
    made=made,
)
