"""How functions are compiled that only compiled code calls.

Numba compiles such a function once more for every literal among its arguments. Constants that
kernels hand to each other are therefore `typed`.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def internal(function: Function) -> Function:
    """`function` compiled for calls from compiled code only, which is done sooner."""
    flags: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    compiled: Function = njit(cache=True, nogil=True, **flags)(function)
    return compiled


def typed(value: int) -> int:
    """`value` as a constant that is no literal to Numba: an int64."""
    return cast(int, np.int64(value))
