"""Random weights that can be encoded."""

import numpy as np
from numpy.typing import NDArray

from rtl.config import NpuConfig
from rtl.isa import Tables
from sim.weight_stream import Encoding

FORMS = [
    *((bits, tables, False) for bits in (1, 2, 3) for tables in (Tables.SHARED, Tables.CHANNELS)),
    *((4, tables, masked) for tables in Tables for masked in (False, True)),
    (8, Tables.NONE, True),
]


def random_weights(
    encoding: Encoding, density: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Weights `[units, 8]` that an encoding can hold, of which a share is not zero."""
    shape = (encoding.blocks, encoding.pairs, encoding.pitch // 2, 2, 8)
    codes = rng.integers(0, 1 << encoding.code_bits, shape)
    values = rng.integers(-128, 128, (encoding.blocks, encoding.pitch, 16), np.int8)
    if encoding.tables == Tables.SHARED:
        values[:] = values[0, 0]
    values = values.reshape(encoding.blocks, 1, -1, 2, 16)
    if encoding.code_bits == 8:
        found = codes.astype(np.uint8).view(np.int8)
    elif encoding.tables == Tables.NONE:
        found = (codes - 8).astype(np.int8)
    else:
        found = np.take_along_axis(
            np.broadcast_to(values, (*shape[:-1], 16)), codes.astype(np.int64), axis=-1
        )
    if encoding.masked:
        found = np.where(rng.random(shape) < density, found, 0)
    return np.ascontiguousarray(found, np.int8).view(np.uint8).reshape(-1, 8)


def decodes(config: NpuConfig, bits: int, tables: Tables, masked: bool) -> bool:
    """Whether the hardware has this encoding."""
    if (bits, tables, masked) not in FORMS or (masked and not config.masked_weights):
        return False
    if tables != Tables.NONE:
        return config.clustered_weights
    return bits == 8 or config.int4_weights
