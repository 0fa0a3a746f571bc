"""Loads a simulator's library and declares its C interface for ctypes."""

import ctypes
from pathlib import Path
from typing import Any

from sim.errors import BuildError

Functions = dict[str, tuple[Any, list[Any]]]
"""Result and argument types by function name."""


def load_functions(path: Path, functions: Functions) -> ctypes.CDLL:
    """Load a simulator's library and declare what it exports.

    Raises
    ------
    BuildError : the file is no library of this machine, or lacks a function.
    """
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in functions.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError) as error:
        raise BuildError(f"cannot load the simulator {path}: {error}; delete it") from None
    return library
