"""How the simulators' functions are compiled.

They allocate nothing, so they do without reference counts, which would cost more than the cycle
model itself. Arrays that they get must be kept alive by their caller. They divide by nothing that
may be zero, so nothing checks that.

Numba compiles a function once more for every literal among its arguments. The constants that these
functions hand to each other are therefore `kernels.jit.typed`.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

_ENTRY: dict[str, Any] = {
    "nogil": True,
    "_nrt": False,
    "no_cfunc_wrapper": True,
    "error_model": "numpy",
    "cache": True,
}
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


@jit
def smaller(a: int, b: int) -> int:
    """`min` of two, which Numba takes twenty times as long to understand."""
    return a if a < b else b


@jit
def larger(a: int, b: int) -> int:
    """`max` of two, as `smaller`."""
    return a if a > b else b
