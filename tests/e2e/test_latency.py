"""The latencies that the blocks state are those that the RTL has."""

import numpy as np
import pytest

from npu.compiler.compile import compile_segment
from npu.compiler.rules.partition import partition
from npu.model.tflite_reader import read_model_bytes
from rtl.accumulators import Accumulators
from rtl.compute_engine import START_LATENCY
from rtl.config import PRESETS
from rtl.grid import Grid
from rtl.isa import Engine, Opcode
from rtl.requantizer import Requantizer
from sim.rtl_runner.runner import RtlSimulator
from tests.support.tflite_builder import ModelBuilder


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (8, 16), (40, 9), (129, 16)])
def test_a_command_takes_the_stated_cycles(inputs: int, outputs: int) -> None:
    """One pixel group: start, one operation per weight word, pipeline, drain."""
    config = PRESETS["npu256"]
    m = ModelBuilder()
    x = m.input((1, inputs), scale=0.1, zero_point=3)
    weights = np.ones((outputs, inputs), np.int8)
    y = m.fully_connected(x, weights, None, weight_scales=0.01, scale=0.2, zero_point=5)
    graph = read_model_bytes(m.build([y]), "one layer")
    (segment,) = partition(graph, config).segments
    program = compile_segment(graph, segment, config)
    values = {index: np.zeros((1, inputs), np.int8) for index in segment.inputs}
    result = RtlSimulator(config).run(program, values, trace=True)

    commands = program.decode()
    cycles = {e.start: e.cycle for e in result.events if e.engine is Engine.COMPUTE}
    (command,) = [c for c in commands if c.opcode is Opcode.CONV]
    operations = command["channel_steps"] * command["depth"]
    words = command["depth"] // config.groups_per_word
    pipeline = Grid.LATENCY + Accumulators.LATENCY + Requantizer.LATENCY
    expected = START_LATENCY + words + (operations - 1) + pipeline + words
    assert cycles[False] - cycles[True] == expected
