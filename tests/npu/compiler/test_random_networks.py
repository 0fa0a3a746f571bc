"""Random networks of all kinds of operators against TFLM, tensor by tensor."""

import pytest

from npu.compiler.compile import CompilerOptions
from npu.inference import compare_with_golden, infer
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from tests.npu.compiler.random_mixtures import random_mixture
from tests.npu.compiler.random_movements import random_moving_network
from tests.npu.compiler.random_networks import random_network
from tests.npu.compiler.support import CONFIGS, check_model, tiny_memories


@pytest.mark.parametrize("seed", range(60))
def test_random_network_equals_tflm(seed: int) -> None:
    config = list(CONFIGS)[seed % len(CONFIGS)]
    options = CompilerOptions(keep_intermediates=seed % 3 == 0)
    check_model(random_network(seed), CONFIGS[config], seed, options)


@pytest.mark.parametrize("seed", range(60))
def test_random_network_that_moves_data_equals_tflm(seed: int) -> None:
    config = list(CONFIGS)[seed % len(CONFIGS)]
    options = CompilerOptions(keep_intermediates=seed % 3 == 0)
    check_model(random_moving_network(seed), CONFIGS[config], seed, options)


@pytest.mark.parametrize("seed", range(40))
def test_random_mixture_of_npu_and_cpu_equals_tflm(seed: int) -> None:
    model = random_mixture(seed)
    graph = read_model_bytes(model, "m")
    config = CONFIGS[list(CONFIGS)[seed % len(CONFIGS)]]
    inputs = load_inputs([f"random:{seed}"], graph)
    result = infer(graph, inputs, config=config, backend="functional", keep_intermediates=True)
    comparison = compare_with_golden(graph, inputs, result, config=config, backend="functional")
    assert comparison.bit_exact, comparison.mismatches[0]
    assert comparison.not_checked == 0


@pytest.mark.parametrize("seed", range(60))
def test_random_network_in_tiny_memories_equals_tflm(seed: int) -> None:
    """Whatever does not fit, the CPU runs; nothing is an error."""
    kinds = (random_network, random_moving_network, random_mixture)
    graph = read_model_bytes(kinds[seed % len(kinds)](seed), "m")
    config = tiny_memories(seed)
    inputs = load_inputs([f"random:{seed}"], graph)
    result = infer(graph, inputs, config=config, backend="functional", keep_intermediates=True)
    comparison = compare_with_golden(graph, inputs, result, config=config, backend="functional")
    assert comparison.bit_exact, comparison.mismatches[0]
