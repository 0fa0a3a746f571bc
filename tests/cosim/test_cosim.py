"""The top level over AXI under cocotb, with random back-pressure on every channel."""

from pathlib import Path

import pytest

from tests.cosim.simulation import simulate


@pytest.mark.parametrize("seed", [1, 2])
def test_programs(seed: int, tmp_path: Path) -> None:
    simulate("tests.cosim.bench_programs", seed, tmp_path)


def test_registers(tmp_path: Path) -> None:
    simulate("tests.cosim.bench_registers", 3, tmp_path)
