"""Measures what the zoo ships: each system's two networks, on the NPU and on a CPU."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from npu.cost.energy import energy_parts, load_energy
from npu.cost.model import load_model
from npu.errors import ZooError
from npu.explore.evaluate import evaluate
from npu.explore.space import LATENCY, Point
from npu.golden import compare, run_golden
from npu.inference import infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.optimize.measure import StageResult, measure
from npu.speedup.store import Measurement
from npu.zoo.cpu import cpu_measurement
from npu.zoo.record import FOLDER, Record, Trained, read_record
from npu.zoo.system import System, Table
from rtl.config import PRESETS
from rtl.errors import NpuError
from sim.memory import MemoryConfig

DENSE, OPTIMIZED = "npu256", "npu256c"
"""Hardware without decoders of weights for the dense network, with them for the optimized one."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of a system.

    Attributes
    ----------
    record : of its training, None without one.
    dense, optimized : costs of its networks. cpu : the optimized network on the CPU.
    energies : of both networks on their hardware, microjoules, estimated.
    bit_exact : both, all tensors, command stream against TFLM; None without networks.
    tables : of its experiments. missing : why cells are dashes.
    """

    system: System
    record: Record | None = None
    dense: StageResult | None = None
    optimized: StageResult | None = None
    cpu: Measurement | None = None
    energies: tuple[float, ...] = ()
    bit_exact: bool | None = None
    tables: Sequence[Table] = ()
    missing: Sequence[str] = ()


def network(trained: Trained, folder: Path = FOLDER) -> bytes:
    """A committed file, which is the one that the record is of.

    Raises
    ------
    ZooError : it is another.
    """
    content = (folder / trained.file).read_bytes()
    if hashlib.sha256(content).hexdigest() != trained.sha256:
        raise ZooError(f"{trained.file} is not the file that its record is of: train it again")
    return content


def bench(system: System, log: Callable[[str], None], folder: Path = FOLDER) -> Row:
    """Measure a system.

    Raises
    ------
    NpuError : a file that is no network, or not the recorded one.
    """
    record = read_record(system, folder)
    tables = list(record.study) if record else []
    missing = []
    if system.measured is not None:
        tables += system.measured()
    if record is None or record.dense is None or record.optimized is None:
        undone = record is None and (system.training or system.made)
        untrained = f"not trained yet: npu zoo train {system.letter}" if undone else ""
        missing += [each for each in (system.reason, untrained) if each]
        return Row(system=system, record=record, tables=tables, missing=missing)
    costs, energies, exact = [], [], True
    for trained, preset in ((record.dense, DENSE), (record.optimized, OPTIMIZED)):
        content = network(trained, folder)
        costs.append(measure(content, PRESETS[preset], stage=preset, file=trained.file))
        energies.append(energy(content, preset))
        exact = exact and is_bit_exact(content, preset)
    cpu = None
    try:
        cpu = cpu_measurement(
            read_model_bytes(network(record.dense, folder), record.dense.file), log
        )
    except NpuError as error:
        missing.append(f"no CPU cycles: {error}")
    for cost in costs:
        if cost.on_npu < cost.operators:
            missing.append(f"{cost.operators - cost.on_npu} operators run on the CPU, uncounted")
    return Row(
        system=system,
        record=record,
        dense=costs[0],
        optimized=costs[1],
        cpu=cpu,
        energies=tuple(energies),
        bit_exact=exact,
        tables=tables,
        missing=missing,
    )


def is_bit_exact(content: bytes, preset: str, seed: int = 0) -> bool:
    """Whether the command stream gives TFLM's bits in all tensors, on a random input."""
    graph = read_model_bytes(content, "network")
    inputs = load_inputs([f"random:{seed}"], graph)
    result = infer(
        graph,
        inputs,
        config=PRESETS[preset],
        backend="functional",
        keep_intermediates=True,
    )
    return bool(compare(graph, run_golden(content, graph, inputs), result.values).bit_exact)


def area(preset: str) -> float:
    """LUTeq of a preset, by the fits of `npu.cost`: an estimate."""
    return load_model().area(PRESETS[preset]).luts


def energy(content: bytes, preset: str) -> float:
    """Microjoules of the NPU for one inference, estimated from its activity (`npu.cost.energy`).

    Raises
    ------
    ZooError : nothing of the network runs on the NPU.
    """
    config = PRESETS[preset]
    point = Point(0, {**config.to_dict(), LATENCY: MemoryConfig().latency_cycles})
    found = evaluate(read_model_bytes(content, "network"), point)
    if found["status"] != "ok":
        raise ZooError(f"no energy: {found['reason']}")
    # leakage is not in the table, so that area and time do not matter
    return sum(energy_parts(config, found, load_energy(), 0.0, 0.0).values())
