"""Steps in a row, each by a call to the address of its kernel's machine code.

What runs kernels is compiled without them this way. Calls by name would have Numba compile every
kernel once more into its caller, and a first network wait for kernels that it does not use.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import config, njit
from numba.core import types
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray

from kernels.prepared.instruction_sets import InstructionSet
from kernels.prepared.llvm import Codegen
from kernels.prepared.step import STEP

StepKernel = Callable[..., None]
"""What computes a step: takes all steps, the number of its own, offsets, channels, panels and image
where the step is `packed`, and the arena that holds IFM, second IFM and OFM, flat int8."""


def _vector(dtype: Any) -> Any:
    return types.Array(from_dtype(np.dtype(dtype)), 1, "C")


@cache
def _address(kernel: Any, packed: tuple[np.dtype[Any], ...]) -> int:
    """Where the machine code of `kernel` begins; compiles it, or loads it, at the first call."""
    constants = [_vector(dtype) for dtype in (np.int32, np.int32, *packed)]
    signature = types.void(_vector(STEP), types.int64, *constants, _vector(np.int8))
    kernel.compile(signature)
    compiled = kernel.get_compile_result(signature)
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name))


def _call(arguments: tuple[Any, ...]) -> tuple[Any, Codegen]:
    """What an intrinsic gives back that calls the address in its first argument with the others."""

    def codegen(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        convention = context.call_conv
        kind = convention.get_function_type(types.none, arguments)
        callee = builder.inttoptr(given[0], kind.as_pointer())
        status, _ = convention.call_function(builder, callee, types.none, arguments, given[1:])
        with builder.if_then(status.is_error, likely=False):
            convention.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.void(types.int64, *arguments), codegen


# arguments by name: those of a tuple would have their references counted at each call
@intrinsic
def _intrinsic_plain(
    typing: Any,
    entry: Any,
    steps: Any,
    number: Any,
    offsets: Any,
    channels: Any,
    arena: Any,
) -> tuple[Any, Codegen]:
    return _call((steps, number, offsets, channels, arena))


@intrinsic
def _intrinsic_packed(
    typing: Any,
    entry: Any,
    steps: Any,
    number: Any,
    offsets: Any,
    channels: Any,
    panels: Any,
    image: Any,
    arena: Any,
) -> tuple[Any, Codegen]:
    return _call((steps, number, offsets, channels, panels, image, arena))


# as compiled code calls them, without the context of types
_call_plain: Any = _intrinsic_plain
_call_packed: Any = _intrinsic_packed


def _compiled_entries(
    kernels: Sequence[StepKernel], packed: Sequence[bool], isa: InstructionSet
) -> NDArray[np.int64]:
    types_of = {True: (isa.tag, isa.element), False: ()}
    return np.array([_address(k, types_of[p]) for k, p in zip(kernels, packed, strict=True)])


@njit(cache=True, nogil=True)
def _compiled_execute(
    entries: NDArray[np.int64],
    steps: NDArray[Any],
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    panels: NDArray[Any],
    image: NDArray[Any],
    arena: NDArray[np.int8],
) -> None:
    for i in range(steps.size):
        if steps[i]["packed"]:
            _call_packed(entries[i], steps, i, offsets, channels, panels, image, arena)
        else:
            _call_plain(entries[i], steps, i, offsets, channels, arena)


def _interpreted_entries(
    kernels: Sequence[StepKernel], packed: Sequence[bool], isa: InstructionSet
) -> Sequence[StepKernel]:
    return kernels


def _interpreted_execute(
    entries: Sequence[StepKernel],
    steps: NDArray[Any],
    offsets: NDArray[np.int32],
    channels: NDArray[np.int32],
    panels: NDArray[Any],
    image: NDArray[Any],
    arena: NDArray[np.int8],
) -> None:
    for i, kernel in enumerate(entries):
        packed = (panels, image) if steps[i]["packed"] else ()
        kernel(steps, i, offsets, channels, *packed, arena)


# find_entries(kernels, packed, isa): what `execute` takes for steps with these kernels, of which
#   those that are `packed` have weights packed for `isa`. Compiles what is not compiled yet.
# execute(entries, steps, offsets, channels, panels, image, arena): every step in turn.
find_entries: Any = _compiled_entries
execute: Any = _compiled_execute
if getattr(config, "DISABLE_JIT", False):
    find_entries, execute = _interpreted_entries, _interpreted_execute
