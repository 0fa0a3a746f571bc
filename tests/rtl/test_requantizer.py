"""The requantizer and the operand scaler against integer formulas, and against the kernels."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kernels.requantize import Rounding, multiply_by_quantized_multiplier
from rtl.config import ROUNDINGS
from rtl.operand_scaler import OperandScaler
from rtl.requantizer import Requantizer
from tests.rtl.arithmetic import requantize, scale, wrap32

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


# value, multiplier, shift, and what "double", "single" and "half_up" give
TIES = [
    (-3, 1 << 30, 0, (-1, -1, -1)),
    (3, 1 << 30, 0, (2, 2, 2)),
    (-6, 1 << 30, -1, (-2, -1, -1)),
    (6, 1 << 30, -1, (2, 2, 2)),
    (-10, 1 << 30, -1, (-3, -2, -2)),
    # just below a tie, which the first rounding makes a tie
    (5, 1 << 30, -1, (2, 1, 2)),
    (-5, 1 << 30, -1, (-1, -1, -1)),
    (-7, 1 << 30, -1, (-2, -2, -1)),
    (-(1 << 31), 1 << 30, -31, (-1, 0, 0)),
    ((1 << 31) - 1, 1 << 30, -31, (1, 0, 1)),
    (1 << 20, (1 << 31) - 1, -21, (1, 0, 1)),
]


def random_vectors(seed: int, count: int) -> Iterator[Vector]:
    rng = np.random.default_rng(seed)
    for _ in range(count):
        value = int(rng.integers(-(1 << 31), 1 << 31)) >> int(rng.integers(0, 31))
        bias = int(rng.integers(-(1 << 31), 1 << 31)) >> int(rng.integers(8, 31))
        yield value, bias, int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-31, 4))


def pipeline(dut: Any, latency: int, settings: dict[str, int], inputs: dict[str, Any]) -> list[int]:
    """Outputs for a sequence of values per input, one per cycle."""
    outputs: list[int] = []
    count = len(next(iter(inputs.values())))

    async def drive(ctx: Any) -> None:
        ctx.set(dut.stages, (1 << latency) - 1)
        for name, value in settings.items():
            ctx.set(getattr(dut, name), value)
        for cycle in range(count + latency - 1):
            for name, values in inputs.items():
                ctx.set(getattr(dut, name), values[min(cycle, count - 1)])
            await ctx.tick()
            if cycle >= latency - 1:
                outputs.append(ctx.get(dut.output))

    simulator: Any = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert len(outputs) == count
    return outputs


def requantized(
    vectors: list[Vector], rounding: str, zero_point: int, low: int, high: int
) -> list[int]:
    settings = {"zero_point": zero_point, "minimum": low, "maximum": high}
    names = ("value", "bias", "multiplier", "shift")
    inputs = dict(zip(names, zip(*vectors, strict=True), strict=True))
    return pipeline(Requantizer(rounding), Requantizer.LATENCY, settings, inputs)


@pytest.mark.quick
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(
    ("seed", "zero_point", "low", "high"),
    [(1, 0, -128, 127), (2, -128, -128, 5), (3, 77, -9, 99)],
)
def test_requantizer(rounding: str, seed: int, zero_point: int, low: int, high: int) -> None:
    vectors = [*directed(), *random_vectors(seed, 400)]
    outputs = requantized(vectors, rounding, zero_point, low, high)
    mode = Rounding.named(rounding)
    for got, (value, bias, multiplier, shift) in zip(outputs, vectors, strict=True):
        total = wrap32(value + bias)
        scaled = requantize(total, multiplier, shift, rounding)
        assert scaled == multiply_by_quantized_multiplier(total, multiplier, shift, mode)
        expected = min(max(scaled + zero_point, low), high)
        assert got == expected, (seed, value, bias, multiplier, shift)


@pytest.mark.parametrize("rounding", ["double", "single", "half_up"])
def test_ties(rounding: str) -> None:
    number = ("double", "single", "half_up").index(rounding)
    vectors = [(value, 0, multiplier, shift) for value, multiplier, shift, _ in TIES]
    expected = [results[number] for *_, results in TIES]
    assert requantized(vectors, rounding, 0, -128, 127) == expected


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_scaler(rounding: str) -> None:
    rng = np.random.default_rng(3)
    settings = [(1 << 30, 0), (1 << 30, 1), (1 << 30, 3), ((1 << 31) - 1, 31), ((1 << 31) - 1, 7)]
    settings += [(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(0, 12))) for _ in range(3)]
    operands = list(range(-128, 128))
    for number, (multiplier, right_shift) in enumerate(settings):
        zero_point = int(rng.integers(-128, 128))
        negate = number % 2
        outputs = pipeline(
            OperandScaler(rounding),
            OperandScaler.LATENCY,
            {"zero_point": zero_point, "multiplier": multiplier, "right_shift": right_shift,
             "negate": negate},
            {"operand": operands},
        )  # fmt: skip
        for x, got in zip(operands, outputs, strict=True):
            expected = scale(x, zero_point, multiplier, right_shift, rounding)
            shifted = (x - zero_point) << 20
            mode = Rounding.named(rounding)
            golden = multiply_by_quantized_multiplier(shifted, multiplier, -right_shift, mode)
            assert expected == golden
            message = (x, zero_point, multiplier, right_shift, negate)
            assert got == (-expected if negate else expected), message


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_scaler_multiplies_by_a_factor(rounding: str) -> None:
    operands = [-128, -128, 127, 127, -1, 0, 5]
    # a stage later than the operand
    factors = [0, 255, -255, 255, -255, -255, 17, -3]
    dut = OperandScaler(rounding)
    settings = {"zero_point": 127, "use_factor": 1, "multiplier": 12345}
    count = len(operands)
    inputs = {"operand": [*operands, 0], "factor": factors}
    outputs = pipeline(dut, OperandScaler.LATENCY, settings, inputs)
    expected = [(operands[i] - 127) * factors[i + 1] for i in range(count)]
    assert outputs[:count] == expected
