"""Random networks in which layers for the NPU take turns with operators that stay on the CPU."""

import numpy as np

from tests.npu.compiler.random_networks import Rng, random_constant
from tests.npu.operator_models import integers
from tests.support.random_layers import (
    random_conv2d,
    random_depthwise_conv2d,
    random_input,
    random_zero_point,
)
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

COMPARISONS = ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
ISLANDS = ("NEG", "SQUARE", "ABS", "FLOOR", "CEIL", "ROUND", "SIN", "COS", "EXP", "LOGISTIC")


def _made(m: ModelBuilder, rng: Rng, x: Tensor, ratio: float) -> Tensor:
    """A tensor of the shape of `x`, whose scale is about `ratio` times as large."""
    scale = float(np.float32(x.scale * ratio * rng.uniform(0.5, 2)))
    return m.tensor(x.shape, scale=scale, zero_point=random_zero_point(rng))


def _squared_difference(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    part = m.mean(x, (1, 2), scale=x.scale / 2, zero_point=random_zero_point(rng))
    y = _made(m, rng, x, x.scale * 100)
    name = "SquaredDifferenceOptions"
    m.operator("SQUARED_DIFFERENCE", [x, part], [y], {}, options_type=name)
    return y


def _rsqrt(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    magnitude = m.tensor(x.shape, scale=x.scale, zero_point=-128)
    m.operator("ABS", [x], [magnitude])
    scale = float(np.float32(rng.uniform(0.5, 2) / (np.sqrt(x.scale) * 128)))
    y = m.tensor(x.shape, scale=scale, zero_point=random_zero_point(rng))
    m.operator("RSQRT", [magnitude], [y])
    return y


def _div(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    divisor = random_constant(m, rng, (x.shape[-1],))
    y = _made(m, rng, x, 1 / (divisor.scale * 20))
    m.operator("DIV", [x, divisor], [y], {}, options_type="DivOptions")
    return y


def _l2_normalization(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    y = m.tensor(x.shape, scale=1 / 128)
    m.operator("L2_NORMALIZATION", [x], [y], {}, options_type="L2NormOptions")
    return y


def _log_softmax(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    y = m.tensor(x.shape, scale=1 / 16, zero_point=127)
    m.operator("LOG_SOFTMAX", [x], [y], {}, options_type="LogSoftmaxOptions")
    return y


def _cumsum(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    y = _made(m, rng, x, 3)
    options = {"exclusive": bool(rng.integers(2)), "reverse": bool(rng.integers(2))}
    axis = integers(m, int(rng.integers(-4, 4)))
    m.operator("CUMSUM", [x, axis], [y], options, options_type="CumsumOptions")
    return y


def _add_n(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    other = m.tensor(x.shape, scale=x.scale, zero_point=x.zero_point)
    m.operator("REVERSE_V2", [x, integers(m, *([1, 2] if rng.integers(2) else [3]))], [other])
    y = _made(m, rng, x, 1.5)
    m.operator("ADD_N", [x, other, x], [y], {}, options_type="AddNOptions")
    return y


def _selected(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    if x.scale >= 1:
        # TFLM aborts when it compares with such a scale
        x = m.quantize(x, scale=0.9, zero_point=x.zero_point)
    threshold = m.constant(np.array([rng.integers(-50, 50)], np.int8), scale=x.scale, zero_point=3)
    conditions = []
    for code in rng.choice(COMPARISONS, 2):
        truth = m.tensor(x.shape, np.bool_)
        m.operator(str(code), [x, threshold], [truth])
        conditions.append(truth)
    both = m.tensor(x.shape, np.bool_)
    m.operator(str(rng.choice(["LOGICAL_AND", "LOGICAL_OR"])), conditions, [both])
    y = m.tensor(x.shape, scale=x.scale, zero_point=x.zero_point)
    filler = m.constant(np.array([x.zero_point], np.int8), scale=x.scale, zero_point=x.zero_point)
    m.operator("SELECT_V2", [both, x, filler], [y])
    return y


def _dilated(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    """A convolution on each phase of the map, with a batch for each."""
    _, height, width, _ = x.shape
    block = [int(rng.choice([b for b in (1, 2, 3) if n % b == 0])) for n in (height, width)]
    corners = np.zeros((2, 2), np.int32)

    def apart(code: str, given: Tensor, shape: tuple[int, ...]) -> Tensor:
        y = m.tensor(shape, scale=given.scale, zero_point=given.zero_point)
        m.operator(code, [given, integers(m, *block), m.constant(corners)], [y])
        return y

    phases = (block[0] * block[1], height // block[0], width // block[1], x.shape[-1])
    y = random_conv2d(m, rng, apart("SPACE_TO_BATCH_ND", x, phases), 8, (3, 3))
    return apart("BATCH_TO_SPACE_ND", y, (1, height, width, 8))


def _island(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    """A float32 operator as the converter leaves it between DEQUANTIZE and QUANTIZE."""
    given, made = m.tensor(x.shape, np.float32), m.tensor(x.shape, np.float32)
    m.operator("DEQUANTIZE", [x], [given])
    m.operator(str(rng.choice(ISLANDS)), [given], [made])
    y = _made(m, rng, x, 1)
    m.operator("QUANTIZE", [made], [y])
    return y


OPERATORS = (
    *(_squared_difference, _rsqrt, _div, _l2_normalization, _log_softmax, _cumsum, _add_n),
    *(_selected, _dilated, _island),
)


def random_mixture(seed: int) -> bytes:
    """Three operators of the CPU, each before or behind a layer of the NPU."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    height, width = (int(n) for n in rng.integers(2, 13, 2))
    x = random_input(m, rng, (1, height, width, int(rng.choice([3, 8, 17]))))
    for _ in range(3):
        if rng.integers(2):
            x = random_conv2d(m, rng, x, int(rng.integers(1, 20)), (1, 1))
        else:
            x = random_depthwise_conv2d(m, rng, x, (3, 3))
        x = OPERATORS[int(rng.integers(len(OPERATORS)))](m, rng, x)
    random_conv2d(m, rng, x, 4, (1, 1))
    return m.build()
