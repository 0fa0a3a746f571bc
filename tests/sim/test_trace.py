"""Timelines: the same from the RTL and the cycle model, and true to the program."""

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from npu import zoo
from npu.model.tflite_reader import read_model
from npu.offload.network import CompiledNetwork
from npu.verify.random_programs import KINDS, random_program
from rtl.config import PRESETS
from rtl.isa import ADDRESS_BITS, Opcode
from sim.accesses import scratchpad_reads, scratchpad_writes
from sim.command_table import decode_table
from sim.cycle import CycleSimulator, simulate
from sim.occupancy import scratchpad_occupancy
from sim.rtl_runner import RtlSimulator
from sim.trace import write_trace
from tests.sim import configs


def timeline(path: Path) -> list[dict[str, Any]]:
    events = json.loads(path.read_text())["traceEvents"]
    assert isinstance(events, list)
    return events


@pytest.mark.parametrize("seed", range(4), ids=lambda seed: f"seed {seed}")
def test_rtl_and_cycle_model_write_the_same_file(seed: int, tmp_path: Path) -> None:
    program, inputs = random_program(configs.SMALL, seed, KINDS)
    files = []
    for name, result in (
        ("rtl", RtlSimulator(configs.SMALL).run(program, inputs, trace=True)),
        ("cycle", CycleSimulator(configs.SMALL).run(program, inputs)),
    ):
        write_trace(tmp_path / name, [(program, result)])
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]


def test_counters_and_operators(tmp_path: Path) -> None:
    config = PRESETS["npu256"]
    network = CompiledNetwork(read_model(zoo.model_path()), config)
    (program,) = network.programs.values()
    inputs = {b.tensor_index: zoo.to_int8(zoo.load_images()[0][:1]) for b in program.inputs}
    result = CycleSimulator(config).run(program, inputs)
    write_trace(tmp_path / "t.json", [(program, result)])
    events = timeline(tmp_path / "t.json")

    operators = {e["name"] for e in events if e.get("cat") == "operator"}
    computed = [layer for layer in program.layers if layer.compute_commands]
    assert operators == {f"{layer.operator_index} {layer.kind}" for layer in computed}

    use = [e for e in events if e["name"] == "scratchpad in use"]
    assert [e["ts"] for e in use] == sorted({e["ts"] for e in use})
    assert 0 < max(e["args"]["KiB"] for e in use) <= config.scratchpad_kib
    assert use[-1]["args"]["KiB"] == 0

    # the area under the traffic is what the commands moved
    for name, opcode in (("read", Opcode.LOAD), ("written", Opcode.STORE)):
        steps = [e for e in events if e["name"] == f"bytes {name} per cycle"]
        area = sum(
            first["args"]["bytes"] * (second["ts"] - first["ts"])
            for first, second in pairwise(steps)
        )
        moved = sum(
            c["rows"] * (c["row_bytes"] or c["pixels"] * c["pixel_bytes"])
            for c in program.decode()
            if c.opcode == opcode
        )
        assert area == pytest.approx(moved, rel=0.01)


@pytest.mark.parametrize("seed", range(6), ids=lambda seed: f"seed {seed}")
def test_occupancy_equals_a_naive_count(seed: int) -> None:
    """Word by word, with sets."""
    rng = random.Random(seed)
    program, _ = random_program(configs.SQUARE, seed, tuple(rng.choices(KINDS, k=5)))
    result = simulate(program)
    start = {e.command: e.cycle for e in result.events if e.start}
    end = {e.command: e.cycle for e in result.events if not e.start}
    held: dict[int, list[int]] = {}
    spans: list[tuple[int, int]] = []
    table = decode_table(program.commands)
    for index in sorted(start):
        opcode = Opcode(int(table.opcodes[index]))
        record = table.records[opcode][table.rows[index]]
        reads = {
            (first + i) % 2**ADDRESS_BITS
            for runs in scratchpad_reads(program.config, opcode, record)
            for first, length in runs.tolist()
            for i in range(length)
        }
        for word in reads & set(held):
            held[word].append(index)
        writes = scratchpad_writes(program.config, opcode, record).tolist()
        for word in {first + i for first, length in writes for i in range(length)}:
            if word in held:
                spans.append((start[held[word][0]], max(end[c] for c in held[word])))
            held[word] = [index]
    spans += [(start[users[0]], max(end[c] for c in users)) for users in held.values()]
    occupancy = scratchpad_occupancy(program, result.events)
    assert occupancy[-1][1] == 0
    assert len({words for _, words in occupancy}) > 2
    for cycle, words in occupancy:
        assert words == sum(begin <= cycle < last for begin, last in spans), f"cycle {cycle}"
