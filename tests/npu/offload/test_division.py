"""Networks that do not fit: cut, or left to the CPU, and never an error."""

import dataclasses

import numpy as np
import pytest

from npu.compiler.compile import CompilerOptions, compile_segment
from npu.compiler.errors import CompileError
from npu.compiler.terms.segment import Segment
from npu.inference import compare_with_golden, infer
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload import division
from npu.offload.division import divide
from npu.offload.network import CompiledNetwork
from rtl.config import PRESETS, NpuConfig
from sim.program import Program
from tests.npu.small_model import classifier
from tests.support.random_layers import random_conv2d, random_input
from tests.support.tflite_builder import ModelBuilder

CONFIG = PRESETS["npu64"]


def assert_exact(graph: Graph, config: NpuConfig) -> None:
    inputs = load_inputs([], graph)
    result = infer(graph, inputs, config=config, backend="cycle", keep_intermediates=True)
    assert compare_with_golden(graph, inputs, result, config=config, backend="cycle").bit_exact


def fits_up_to(count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let longer segments fail; returns the lengths that were tried."""
    tried: list[int] = []

    def compile_short(
        graph: Graph, segment: Segment, config: NpuConfig, options: CompilerOptions
    ) -> Program:
        tried.append(len(segment.operators))
        if len(segment.operators) > count:
            raise CompileError("does not fit")
        return compile_segment(graph, segment, config, options)

    monkeypatch.setattr(division, "compile_segment", compile_short)
    return tried


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_segment_that_does_not_fit_is_cut(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read_model_bytes(classifier(), "m")
    whole = CompiledNetwork(graph, CONFIG)
    assert len(whole.programs) == 1
    tried = fits_up_to(count, monkeypatch)
    network = CompiledNetwork(graph, CONFIG)
    assert max(len(s.operators) for s in network.partition.segments) == count
    assert tuple(network.programs) == network.partition.segments
    # each part is compiled once
    assert sum(n <= count for n in tried) == len(network.programs)
    assert_exact(graph, CONFIG)


def test_an_operator_that_does_not_fit_alone_runs_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph = read_model_bytes(classifier(), "m")
    fits_up_to(0, monkeypatch)
    found = divide(graph, CONFIG, CompilerOptions())
    assert not found.programs
    assert set(found.partition.reasons) == {op.index for op in graph.operators}
    assert "does not fit" in found.partition.reasons.values()
    assert_exact(graph, CONFIG)


def test_a_network_of_which_nothing_fits_runs_on_the_cpu() -> None:
    """A single output row is larger than the scratchpad."""
    m = ModelBuilder()
    rng = np.random.default_rng(1)
    x = random_input(m, rng, (1, 1, 4000, 32))
    graph = read_model_bytes(m.build([random_conv2d(m, rng, x, 8, kernel=(1, 1))]), "wide")
    config = dataclasses.replace(CONFIG, scratchpad_kib=4)
    network = CompiledNetwork(graph, config)
    assert network.partition.reasons[0].startswith("tensor too large for any tiling")
    assert_exact(graph, config)
