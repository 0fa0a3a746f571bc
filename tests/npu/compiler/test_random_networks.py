"""Random networks of all kinds of operators against TFLM, tensor by tensor."""

import pytest

from npu.compiler.compile import CompilerOptions
from tests.npu.compiler.random_movements import random_moving_network
from tests.npu.compiler.random_networks import random_network
from tests.npu.compiler.support import CONFIGS, check_model


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
