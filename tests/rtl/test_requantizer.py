"""The requantizer and the operand scaler against the golden arithmetic."""

from collections.abc import Iterator

import numpy as np
import pytest
from amaranth.sim import Simulator

from kernels.requantize import multiply_by_quantized_multiplier
from rtl.operand_scaler import OperandScaler
from rtl.requantizer import Requantizer

Vector = tuple[int, int, int, int]


def directed() -> Iterator[Vector]:
    """Ties, near-ties, left shifts, saturation: what random values miss."""
    for exponent in range(1, 20):
        for k in (-3, -2, -1, 0, 1, 2, 3):
            for multiplier in (1 << 30, (1 << 30) + 1, (1 << 31) - 1):
                yield k << max(exponent - 2, 0), 0, multiplier, -exponent
    for value in (-(1 << 31), -(1 << 31) + 1, -1, 0, 1, (1 << 31) - 1):
        for shift in (-31, -30, -1, 0, 1, 2, 8):
            yield value, 0, (1 << 31) - 1, shift
            yield value, 1, 1 << 30, shift
            yield value, -1, 1518500250, shift


def random_vectors(seed: int, count: int) -> Iterator[Vector]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        value = int(rng.integers(-(1 << 31), 1 << 31)) >> int(rng.integers(0, 31))
        bias = int(rng.integers(-(1 << 31), 1 << 31)) >> int(rng.integers(8, 31))
        yield value, bias, int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-31, 4))


def wrap32(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("zero_point", "low", "high"), [(0, -128, 127), (-128, -128, 5), (77, -9, 99)]
)
def test_requantizer_is_tflm(seed: int, zero_point: int, low: int, high: int) -> None:
    vectors = [*directed(), *random_vectors(seed, 400)]
    dut = Requantizer()
    outputs: list[int] = []

    async def drive(ctx):  # type: ignore[no-untyped-def]
        ctx.set(dut.zero_point, zero_point)
        ctx.set(dut.minimum, low)
        ctx.set(dut.maximum, high)
        ctx.set(dut.stages, (1 << Requantizer.LATENCY) - 1)
        for cycle in range(len(vectors) + Requantizer.LATENCY):
            if cycle < len(vectors):
                value, bias, multiplier, shift = vectors[cycle]
                ctx.set(dut.value, value)
                ctx.set(dut.bias, bias)
                ctx.set(dut.multiplier, multiplier)
                ctx.set(dut.shift, shift)
            await ctx.tick()
            if cycle >= Requantizer.LATENCY - 1:
                outputs.append(ctx.get(dut.output))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()

    for got, (value, bias, multiplier, shift) in zip(outputs, vectors, strict=False):
        scaled = int(multiply_by_quantized_multiplier(wrap32(value + bias), multiplier, shift))
        expected = min(max(scaled + zero_point, low), high)
        assert got == expected, (seed, value, bias, multiplier, shift)


def test_scaler_is_tflm() -> None:
    rng = np.random.default_rng(3)
    settings = [(1 << 30, 0), ((1 << 31) - 1, 31), ((1 << 30) + 1, 1), ((1 << 31) - 1, 7)]
    settings += [(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(0, 12))) for _ in range(4)]
    for multiplier, right_shift in settings:
        zero_point = int(rng.integers(-128, 128))
        dut = OperandScaler()
        outputs: list[int] = []

        async def drive(ctx):  # type: ignore[no-untyped-def]
            ctx.set(dut.stages, (1 << OperandScaler.LATENCY) - 1)  # noqa: B023
            ctx.set(dut.zero_point, zero_point)  # noqa: B023
            ctx.set(dut.multiplier, multiplier)  # noqa: B023
            ctx.set(dut.right_shift, right_shift)  # noqa: B023
            for cycle in range(256 + OperandScaler.LATENCY - 1):
                ctx.set(dut.operand, min(cycle, 255) - 128)  # noqa: B023
                await ctx.tick()
                if cycle >= OperandScaler.LATENCY - 1:
                    outputs.append(ctx.get(dut.output))  # noqa: B023

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(drive)
        simulator.run()
        for x, got in zip(range(-128, 128), outputs, strict=True):
            scaled = (x - zero_point) << 20
            expected = int(multiply_by_quantized_multiplier(scaled, multiplier, -right_shift))
            assert got == expected, (x, zero_point, multiplier, right_shift)
