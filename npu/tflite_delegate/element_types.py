"""The interpreter's element types as numpy's."""

from collections.abc import Mapping
from typing import Any

import numpy as np

INT4 = 18
"""Two elements a byte, low one first; unpacked to int8 when read."""

ELEMENT_TYPES: Mapping[int, np.dtype[Any]] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.int32),
    3: np.dtype(np.uint8),
    4: np.dtype(np.int64),
    6: np.dtype(np.bool_),
    7: np.dtype(np.int16),
    9: np.dtype(np.int8),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
}
"""By `TfLiteType`; all others hold what nothing here computes with."""
