"""How the model's functions are compiled."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def jit(function: Function) -> Function:
    """`njit` for functions that allocate nothing: without reference counts, which would cost more
    than the model itself. Arrays that such a function gets must be kept alive by its caller."""
    options: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}
    return cast(Function, njit(**options)(function))
