"""The requantizer and the operand scaler against integer formulas, and against the kernels."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kernels.requantize import Rounding, multiply_by_quantized_multiplier
from rtl.config import ROUNDINGS
from rtl.isa import MAX_LEFT_SHIFT
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
        for shift in (-31, -30, -1, 0, 1, 2, MAX_LEFT_SHIFT):
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
    """Values of all sizes, multipliers over all of [0, 2**31), shifts that leave something."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        value = int(rng.integers(-(1 << 31), 1 << 31)) >> int(rng.integers(0, 31))
        bias = int(rng.integers(-(1 << 31), 1 << 31)) >> int(rng.integers(8, 31))
        multiplier = int(rng.integers(0, 1 << 31)) >> int(
            rng.choice([0, 0, 0, int(rng.integers(0, 31))])
        )
        size = (abs(wrap32(value + bias)) * multiplier >> 31).bit_length()
        # mostly results that a clamp does not hide
        shift = int(rng.integers(1, 10)) - size if rng.random() < 0.8 else int(rng.integers(-31, 8))
        yield value, bias, multiplier, min(max(shift, -31), MAX_LEFT_SHIFT)


def near_ties(seed: int, count: int) -> Iterator[Vector]:
    """Products at, and next to, what each rounding decides on: place 30, and place 30 - shift.

    For a value that is odd, the multiplier that makes the product's low places what they should be
    is found modulo a power of two.
    """
    rng = np.random.default_rng(seed)
    for _ in range(count):
        shift = int(rng.integers(-8, MAX_LEFT_SHIFT + 1))
        value = (int(rng.integers(-(1 << 30), 1 << 30)) >> int(rng.integers(0, 24))) | 1
        left, right = max(shift, 0), max(-shift, 0)
        places = int(rng.choice([31 - left, 31]))
        target = 1 << (places - 1 if rng.random() < 0.5 else 30 + right - left - int(right > 31))
        target += int(rng.choice([-2, -1, 0, 0, 1, 2]))
        multiplier = target * pow(value, -1, 1 << 31) % (1 << 31)
        yield value, 0, multiplier, shift


def pipeline(
    dut: Any,
    latency: int,
    settings: dict[str, int],
    inputs: dict[str, Any],
    sampled: tuple[str, ...] = ("output",),
) -> Any:
    """Outputs for a sequence of values per input, one per cycle; tuples if several are sampled."""
    outputs: list[Any] = []
    count = len(next(iter(inputs.values())))

    async def drive(ctx: Any) -> None:
        ctx.set(dut.stages, -1)
        for name, value in settings.items():
            ctx.set(getattr(dut, name), value)
        for cycle in range(count + latency - 1):
            for name, values in inputs.items():
                ctx.set(getattr(dut, name), values[min(cycle, count - 1)])
            await ctx.tick()
            if cycle >= latency - 1:
                values = tuple(ctx.get(getattr(dut, name)) for name in sampled)
                outputs.append(values if len(values) > 1 else values[0])

    simulator: Any = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert len(outputs) == count
    return outputs


def lane_inputs(vectors: list[Vector], rng: Any = None) -> dict[str, list[int]]:
    """A lane's inputs: doubled values and biases, whose sum's lowest bit must not matter."""
    value, bias, multiplier, shift = (list(column) for column in zip(*vectors, strict=True))
    odd = rng.integers(0, 2, len(vectors)).tolist() if rng is not None else [0] * len(vectors)
    return {
        "value": [2 * v for v in value],
        "bias": [2 * b + bit for b, bit in zip(bias, odd, strict=True)],
        "multiplier": multiplier,
        "shift": shift,
    }


def requantized(
    vectors: list[Vector], rounding: str, zero_point: int, low: int, high: int
) -> list[int]:
    settings = {"zero_point": zero_point, "minimum": low, "maximum": high}
    inputs = lane_inputs(vectors, np.random.default_rng(1))
    outputs: list[int] = pipeline(Requantizer(rounding), Requantizer.LATENCY, settings, inputs)
    return outputs


def golden(vector: Vector, rounding: str) -> int:
    value, bias, multiplier, shift = vector
    total = wrap32(value + bias)
    scaled = requantize(total, multiplier, shift, rounding)
    mode = Rounding.named(rounding)
    assert scaled == multiply_by_quantized_multiplier(total, multiplier, shift, mode), vector
    return scaled


@pytest.mark.quick
@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(
    ("seed", "zero_point", "low", "high"),
    [(1, 0, -128, 127), (2, -128, -128, 5), (3, 77, -9, 99)],
)
def test_requantizer(rounding: str, seed: int, zero_point: int, low: int, high: int) -> None:
    vectors = [*directed(), *random_vectors(seed, 400)]
    outputs = requantized(vectors, rounding, zero_point, low, high)
    for got, vector in zip(outputs, vectors, strict=True):
        assert got == min(max(golden(vector, rounding) + zero_point, low), high), (seed, vector)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("seed", [4])
def test_rescaled_values_before_the_clamp(rounding: str, seed: int) -> None:
    vectors = [*directed(), *random_vectors(seed, 1500), *near_ties(seed, 1500)]
    results = pipeline(
        Requantizer(rounding),
        Requantizer.RESCALED_LATENCY,
        {},
        lane_inputs(vectors),
        ("rescaled", "saturates", "negative"),
    )
    kept = 0
    for (rescaled, saturates, negative), vector in zip(results, vectors, strict=True):
        expected = golden(vector, rounding)
        if saturates:
            assert not -256 <= expected <= 255, (seed, vector)
            assert negative == (expected < 0), (seed, vector)
        else:
            kept += 1
            assert rescaled == expected, (seed, vector)
    assert kept > 2000


def test_near_ties_tell_the_roundings_apart() -> None:
    vectors = list(near_ties(4, 1500))
    results = [[golden(vector, rounding) for vector in vectors] for rounding in ROUNDINGS]
    for first in range(3):
        for second in range(first):
            differences = sum(a != b for a, b in zip(results[first], results[second], strict=True))
            assert differences > 20, (ROUNDINGS[first], ROUNDINGS[second], differences)


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
    settings += [(int(rng.integers(0, 1 << 31)), int(rng.integers(0, 32))) for _ in range(6)]
    operands = list(range(-128, 128))
    for number, (multiplier, right_shift) in enumerate(settings):
        zero_point = int(rng.integers(-128, 128))
        complement = number % 2
        outputs = pipeline(
            OperandScaler(rounding),
            OperandScaler.LATENCY,
            {"zero_point": zero_point, "multiplier": multiplier, "right_shift": right_shift,
             "twice": right_shift != 0, "complement": complement},
            {"operand": operands},
        )  # fmt: skip
        for x, got in zip(operands, outputs, strict=True):
            expected = scale(x, zero_point, multiplier, right_shift, rounding)
            shifted = (x - zero_point) << 20
            mode = Rounding.named(rounding)
            golden = multiply_by_quantized_multiplier(shifted, multiplier, -right_shift, mode)
            assert expected == golden
            message = (x, zero_point, multiplier, right_shift, complement)
            assert (got + 1) >> 1 == (-expected if complement else expected), message


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_scaler_multiplies_by_a_factor(rounding: str) -> None:
    operands = [-128, -128, 127, 127, -1, 0, 5]
    factors = [0, 255, -255, 255, -255, -255, 17]
    dut = OperandScaler(rounding)
    inputs = {"operand": operands, "factor": factors}
    outputs = pipeline(dut, OperandScaler.LATENCY, {"zero_point": 127, "use_factor": 1}, inputs)
    expected = [(x - 127) * factor for x, factor in zip(operands, factors, strict=True)]
    assert [(output + 1) >> 1 for output in outputs] == expected
