"""Compiles models for tests and runs them, segment by segment, against TFLM."""

import dataclasses

import numpy as np

from npu.compiler.compile import CompilerOptions, compile_segment
from npu.compiler.rules.partition import Partition, partition
from npu.golden import run_golden
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from rtl.config import PRESETS, NpuConfig
from sim.functional.simulator import FunctionalSimulator
from sim.hazards import check_dependencies
from sim.program import Program

UNDEFINED = 0xA5
"""What the memories hold before a run: results must not depend on it."""

TINY = dataclasses.replace(
    PRESETS["npu64"], scratchpad_kib=8, weight_buffer_kib=4, parameter_channels=64
)
"""Little memory, so that small layers are already tiled, spilled and reloaded."""

CONFIGS: dict[str, NpuConfig] = {
    "npu32": PRESETS["npu32"],
    "npu256": PRESETS["npu256"],
    "npu1024": PRESETS["npu1024"],
    "tiny": TINY,
    "narrow": dataclasses.replace(
        PRESETS["npu64"],
        pixels=2,
        channels=4,
        lanes=4,
        accumulator_depth=3,
        requant_lanes=4,
        scratchpad_kib=16,
        bus_bytes=4,
    ),
    "wide": dataclasses.replace(
        PRESETS["npu256"], channels=16, lanes=16, accumulator_depth=2, bus_bytes=16
    ),
}
"""Configurations that differ in every parameter that the compiler uses."""


def tiny_memories(seed: int) -> NpuConfig:
    """A preset with memories so small that operators stay on the CPU, and runs are cut."""
    rng = np.random.default_rng(seed)
    config = PRESETS[("npu32", "npu64", "npu256", "npu1024")[seed % 4]]
    return dataclasses.replace(
        config,
        scratchpad_kib=int(rng.choice([4, 5, 6, 8, 12, 16])),
        weight_buffer_kib=int(rng.choice([1, 2, 4, 8])),
        parameter_channels=config.lanes * int(rng.integers(1, 5)),
    )


def compile_model(
    model: bytes, config: NpuConfig, options: CompilerOptions | None = None
) -> tuple[Graph, Partition, list[Program]]:
    """Read, partition and compile a model."""
    graph = read_model_bytes(model, "test")
    parts = partition(graph, config)
    programs = [compile_segment(graph, s, config, options) for s in parts.segments]
    return graph, parts, programs


def check_model(
    model: bytes, config: NpuConfig, seed: int = 0, options: CompilerOptions | None = None
) -> Partition:
    """Run every segment of `model` on TFLM's values of its inputs, and compare every tensor.

    Also checks the programs for races. Returns the partition.
    """
    graph, parts, programs = compile_model(model, config, options)
    rng = np.random.default_rng(seed)
    given = [graph.tensors[i] for i in graph.inputs]
    inputs = {
        t.index: rng.integers(-128, 128, t.shape).astype(np.int8).view(t.dtype) for t in given
    }
    golden = run_golden(model, graph, inputs)
    simulator = FunctionalSimulator(config, initial_byte=UNDEFINED)
    for segment, program in zip(parts.segments, programs, strict=True):
        check_dependencies(program)
        result = simulator.run(program, {i: golden[i] for i in segment.inputs})
        assert set(result.outputs) == set(segment.outputs)
        for index, value in {**result.tensors, **result.outputs}.items():
            expected = golden[index].reshape(value.shape)
            wrong = int(np.count_nonzero(expected != value))
            assert not wrong, f"seed {seed}: {wrong} of {value.size} wrong in tensor {index}"
    return parts
