"""The C functions through which an interpreter calls delegates and their kernels.

There is one set for the whole process, which is never freed: an interpreter may outlive its
delegate, and at the end of a process it may even outlive this module. No exception passes through
C: each becomes an error of the interpreter, with its message.
"""

import ctypes
from collections.abc import Callable
from ctypes import c_void_p
from typing import Any, NamedTuple, Protocol

from npu.tflite_delegate.abi import (
    DELEGATE_PREPARE,
    ERROR,
    FREE,
    INIT,
    NODE_FUNCTION,
    OK,
    TfLiteContext,
    TfLiteDelegateParams,
    TfLiteNode,
    TfLiteRegistration,
)
from npu.tflite_delegate.claimed import ClaimedSegment
from rtl.errors import NpuError

KERNEL_NAME = b"NPU"
"""What the interpreter calls a node of the delegate."""


class Core(Protocol):
    """What a delegate does, behind its C structure."""

    def claim(self, context_address: int, delegate_address: int) -> int:
        """Take operators of a subgraph; the status for the interpreter."""

    def make_segment(self, context_address: int, params: TfLiteDelegateParams) -> ClaimedSegment:
        """What runs the operators that the interpreter hands over."""

    def freed(self, segment: ClaimedSegment) -> None:
        """The interpreter needs a segment no more."""


class Callbacks(NamedTuple):
    """The C functions, as ctypes."""

    prepare_delegate: Any
    init: Any
    free: Any
    prepare: Any
    invoke: Any


def report_error(context_address: int, text: str) -> None:
    """Give the interpreter the message of an error; it ends up in the exception that it raises."""
    context = TfLiteContext.from_address(context_address)
    # it is a format
    context.ReportError(context_address, text.replace("%", "%%").encode("utf-8", "replace"))


def message(error: BaseException) -> str:
    """What a user is told about `error`, in one line."""
    text = "; ".join(str(error).splitlines())
    return f"NPU: {text}" if isinstance(error, NpuError) else f"NPU: {type(error).__name__}: {text}"


def _make_callbacks(cores: dict[int, Core]) -> Callbacks:
    # all that the functions need is in their closures: at the end of a process modules are emptied
    segments: dict[int, tuple[ClaimedSegment, Core]] = {}
    failures: dict[int, str] = {}
    numbers = iter(range(1, 1 << 62))
    user_data = TfLiteNode.user_data.offset
    address_of = c_void_p.from_address
    report, describe = report_error, message

    def guarded(function: Callable[[int, int], int]) -> Callable[[int, int], int]:
        def call(context_address: int, argument: int) -> int:
            try:
                return function(context_address, argument)
            except BaseException as error:
                try:
                    report(context_address, describe(error))
                except BaseException:
                    return ERROR
                return ERROR

        return call

    def prepare_delegate(context_address: int, delegate_address: int) -> int:
        return cores[delegate_address].claim(context_address, delegate_address)

    def init(context_address: int, buffer: int, length: int) -> int:
        # a kernel that cannot be made is an error of its prepare: this one cannot fail
        number = next(numbers)
        try:
            params = TfLiteDelegateParams.from_address(buffer)
            core = cores[params.delegate]
            segments[number] = core.make_segment(context_address, params), core
        except BaseException as error:
            failures[number] = describe(error)
        return number

    def free(context_address: int, number: int) -> None:
        try:
            failures.pop(number, None)
            segment, core = segments.pop(number)
            core.freed(segment)
        except BaseException:
            return

    def segment_of(node_address: int) -> ClaimedSegment:
        return segments[address_of(node_address + user_data).value or 0][0]

    def prepare(context_address: int, node_address: int) -> int:
        number = address_of(node_address + user_data).value or 0
        if number in failures:
            report(context_address, failures[number])
            return ERROR
        segment_of(node_address).prepare(context_address)
        return OK

    def invoke(context_address: int, node_address: int) -> int:
        segment_of(node_address).invoke(context_address)
        return OK

    made = Callbacks(
        DELEGATE_PREPARE(guarded(prepare_delegate)),
        INIT(init),
        FREE(free),
        NODE_FUNCTION(guarded(prepare)),
        NODE_FUNCTION(guarded(invoke)),
    )
    for callback in made:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(callback))
    return made


CORES: dict[int, Core] = {}
"""By the address of their C structure. They stay: no one knows when an interpreter has ended."""
CALLBACKS = _make_callbacks(CORES)


def registration() -> TfLiteRegistration:
    """The kernel that stands for a segment."""
    made = TfLiteRegistration()
    made.init, made.free = CALLBACKS.init, CALLBACKS.free
    made.prepare, made.invoke = CALLBACKS.prepare, CALLBACKS.invoke
    made.custom_name = KERNEL_NAME
    made.version = 1
    return made
