"""Random networks of the operators that are not convolutions, and of convolutions between them."""

import numpy as np

from tests.npu.operator_models import integers
from tests.support.operators import elementwise, unary
from tests.support.random_layers import (
    random_conv2d,
    random_depthwise_conv2d,
    random_input,
    random_int8,
    random_scale,
    random_zero_point,
)
from tests.support.tflite_builder import ModelBuilder, Pair
from tests.support.tflite_file import Tensor

Rng = np.random.Generator

FUNCTIONS = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")
TABLES = ("ABS", "ELU", "HARD_SWISH", "LEAKY_RELU", "QUANTIZE", "RELU")


def random_function(m: ModelBuilder, rng: Rng, code: str, a: Tensor, b: Tensor) -> Tensor:
    """An operator of two operands whose results spread over int8, activation included."""
    spread = a.scale * b.scale * 74 if code == "MUL" else np.hypot(a.scale, b.scale)
    scale = float(np.float32(spread * rng.uniform(0.6, 1.3)))
    activation = "NONE"
    if code in FUNCTIONS[:3]:
        activation = str(rng.choice(["NONE", "RELU", "RELU6"]))
    zero_point = random_zero_point(rng)
    return elementwise(m, code, a, b, scale=scale, zero_point=zero_point, activation=activation)


def random_constant(m: ModelBuilder, rng: Rng, shape: tuple[int, ...]) -> Tensor:
    """An int8 constant with a random quantization."""
    scale, zero_point = random_scale(rng), random_zero_point(rng)
    return m.constant(random_int8(rng, shape), scale=scale, zero_point=zero_point)


def _function(m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor]) -> Tensor:
    code = str(rng.choice(FUNCTIONS))
    _, height, width, channels = x.shape
    shapes = [(1,), (channels,), (1, 1, 1, channels), x.shape, (height, 1, channels), (width, 1)]
    choice = int(rng.integers(4))
    if choice == 0:
        constant = random_constant(m, rng, shapes[int(rng.integers(len(shapes)))])
        first, second = (x, constant) if rng.integers(2) else (constant, x)
        return random_function(m, rng, code, first, second)
    if choice == 1:
        axes = [(1, 2), (1,), (2,)][int(rng.integers(3))]
        part = m.mean(x, axes, scale=x.scale / 3, zero_point=random_zero_point(rng))
        first, second = (x, part) if rng.integers(2) else (part, x)
        return random_function(m, rng, code, first, second)
    same = [t for t in maps if t.shape == x.shape]
    return random_function(m, rng, code, x, same[int(rng.integers(len(same)))])


def _reduction(m: ModelBuilder, rng: Rng, x: Tensor) -> Tensor:
    axes = [(1,), (2,), (3,), (1, 3)][int(rng.integers(4))]
    if rng.integers(3) == 0 and x.shape[1] * x.shape[2] <= 64:
        return _maximum(m, x, axes)
    count = int(np.prod([x.shape[a] for a in axes]))
    scale = float(np.float32(x.scale * rng.uniform(0.5, 2) * np.sqrt(count)))
    y = m.tensor(
        [1 if i in axes else n for i, n in enumerate(x.shape)],
        scale=scale,
        zero_point=random_zero_point(rng),
    )
    options = {"keepDims": True}
    m.operator("SUM", [x, integers(m, *axes)], [y], options, options_type="ReducerOptions")
    return y


def _maximum(m: ModelBuilder, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """REDUCE_MAX, of the map with a batch of its rows."""
    _, height, width, channels = x.shape
    rows = m.reshape(x, (height, 1, width, channels))
    kept = [1 if i in axes else n for i, n in enumerate(rows.shape)]
    y = m.tensor(kept, scale=x.scale, zero_point=x.zero_point)
    options = {"keepDims": True}
    m.operator(
        "REDUCE_MAX", [rows, integers(m, *axes)], [y], options, options_type="ReducerOptions"
    )
    return m.reshape(y, (1, height, *kept[2:]))


def _random_kernel(rng: Rng, x: Tensor) -> Pair:
    height, width = (min(n, int(rng.integers(1, 4))) for n in x.shape[1:3])
    return height, width


def _layer(m: ModelBuilder, rng: Rng, x: Tensor, maps: list[Tensor]) -> Tensor:
    kernel = _random_kernel(rng, x)
    match int(rng.integers(8)):
        case 0:
            return random_conv2d(m, rng, x, int(rng.integers(1, 50)), kernel)
        case 1:
            return random_depthwise_conv2d(m, rng, x, kernel)
        case 2:
            return m.max_pool2d(x, window=kernel)
        case 3:
            amounts = [
                (0, 0),
                *((int(a), int(b)) for a, b in (rng.integers(0, 4, 2) for _ in range(3))),
            ]
            return m.pad(x, amounts)
        case 4:
            return _reduction(m, rng, x)
        case 5:
            code = str(rng.choice(TABLES))
            scale = float(np.float32(x.scale * rng.uniform(0.5, 2)))
            options = {"alpha": 0.2} if code == "LEAKY_RELU" else {}
            return unary(m, code, x, scale=scale, zero_point=random_zero_point(rng), **options)
        case _:
            return _function(m, rng, x, maps)


def random_network(seed: int, layers: int = 7) -> bytes:
    """Some random layers, each on the one before it or on an earlier map; ends may be uint8."""
    rng = np.random.default_rng(seed)
    m = ModelBuilder()
    height, width = (int(n) for n in rng.integers(2, 18, 2))
    shape = (1, height, width, int(rng.choice([1, 3, 8, 16, 25, 40])))
    if rng.integers(3):
        x = random_input(m, rng, shape)
    else:
        x = m.input(shape, dtype="uint8", scale=random_scale(rng), zero_point=128)
        x = m.quantize(x, scale=x.scale, zero_point=0)
    maps = [x]
    for _ in range(int(rng.integers(2, layers + 1))):
        if rng.integers(4) == 0:
            x = maps[int(rng.integers(len(maps)))]
        x = _layer(m, rng, x, maps)
        maps.append(x)
    if rng.integers(3) == 0:
        y = m.tensor(x.shape, "uint8", scale=x.scale, zero_point=int(rng.integers(256)))
        m.operator("QUANTIZE", [x], [y])
    return m.build()
