"""Compiled layers and networks, with tiles, spills and loads ahead of use."""

from functools import partial

import numpy as np
import pytest

from npu import zoo
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.offload.network import CompiledNetwork
from rtl.config import PRESETS, NpuConfig
from sim.memory import MemoryConfig
from tests.npu.compiler import random_movements, random_networks, test_layers
from tests.npu.compiler.stream.test_encoding import both, network
from tests.npu.compiler.test_layers import LAYERS, build
from tests.sim import configs
from tests.sim.cycle.compare import check_program
from tests.support.compressed_models import changed, clustered
from tests.support.shared_models import MLPERF, shared_model

LAYER_CONFIGS = {"small": configs.SMALL, "npu64": PRESETS["npu64"], "npu256": PRESETS["npu256"]}

DENSE_PRESETS = [name for name, config in PRESETS.items() if not config.decodes_weights]
"""What decoders do is tested with smaller hardware."""

SOURCES = {
    "layers": test_layers.random_network,
    "functions": random_networks.random_network,
    "movements": random_movements.random_moving_network,
}
"""Random networks with the emphasis on different operators."""

MEMORIES = (
    MemoryConfig(latency_cycles=1),
    MemoryConfig(latency_cycles=20),
    MemoryConfig(latency_cycles=150),
)


def check_graph(graph: Graph, config: NpuConfig, memory: MemoryConfig) -> int:
    """Compare every segment of a network; returns how many there are."""
    programs = CompiledNetwork(graph, config).programs
    for segment, program in programs.items():
        check_program(program, memory, f"operators {segment.operators}")
    return len(programs)


@pytest.mark.parametrize("name", LAYER_CONFIGS)
@pytest.mark.parametrize("layer", LAYERS)
def test_layer(layer: str, name: str) -> None:
    rng = np.random.default_rng(len(layer))
    graph = read_model_bytes(build(*LAYERS[layer], seed=5), layer)
    memory = MemoryConfig(latency_cycles=int(rng.integers(1, 60)))
    assert check_graph(graph, LAYER_CONFIGS[name], memory)


@pytest.mark.parametrize("seed", range(10), ids=lambda seed: f"seed {seed}")
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", LAYER_CONFIGS)
def test_random_network(name: str, source: str, seed: int) -> None:
    graph = read_model_bytes(SOURCES[source](seed), source)
    assert check_graph(graph, LAYER_CONFIGS[name], MEMORIES[seed % len(MEMORIES)])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.8])
def test_encoded_weights(share: float) -> None:
    """Codes alone, and with masks."""
    model = changed(network(), partial(both, change=clustered, share=share))
    for memory in MEMORIES:
        assert check_graph(read_model_bytes(model, "encoded"), configs.DECODING, memory)


@pytest.mark.parametrize("memory", MEMORIES, ids=lambda memory: f"latency {memory.latency_cycles}")
@pytest.mark.parametrize("preset", DENSE_PRESETS)
def test_shipped_network(preset: str, memory: MemoryConfig) -> None:
    assert check_graph(read_model(zoo.model_path()), PRESETS[preset], memory)


@pytest.mark.parametrize("preset", DENSE_PRESETS)
@pytest.mark.parametrize("network", MLPERF)
def test_public_network(network: str, preset: str) -> None:
    assert check_graph(read_model(shared_model(network)), PRESETS[preset], MemoryConfig())
