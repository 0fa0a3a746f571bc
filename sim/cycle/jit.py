"""How the model's functions are compiled.

They allocate nothing, so they do without reference counts, which would cost more than the model
itself. Arrays that they get must be kept alive by their caller.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

_ENTRY: dict[str, Any] = {"nogil": True, "_nrt": False, "no_cfunc_wrapper": True, "cache": True}
_INNER: dict[str, Any] = {**_ENTRY, "no_cpython_wrapper": True, "cache": False}


def entry(function: Function) -> Function:
    """Compile a function for Python to call, and keep the result on disk."""
    return cast(Function, njit(**_ENTRY)(function))


def jit(function: Function) -> Function:
    """Compile a function for others to call, which contain it."""
    return cast(Function, njit(**_INNER)(function))


def part(function: Function) -> Function:
    """Compile a function that is a page of a longer one: inlined, so that its arguments and results
    stay in registers."""
    return cast(Function, njit(**_INNER, forceinline=True)(function))
