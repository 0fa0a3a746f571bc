"""Whether an interpreter's structures are those that `npu.tflite_delegate.abi` declares.

A wrong guess would read memory that is none. So nothing is followed before it is known to be mapped
memory, and everything that has to agree with something else is compared with it: sizes of tensors
with their shapes, indices of nodes with the number of tensors.
"""

from bisect import bisect_right
from ctypes import c_int, sizeof
from math import prod
from pathlib import Path

from npu.tflite_delegate.abi import (
    OK,
    TENSOR_BYTES,
    TfLiteContext,
    TfLiteNode,
    TfLiteRegistration,
    read_int_array,
    tensor_at,
)
from npu.tflite_delegate.element_types import ELEMENT_TYPES

MOST_TENSORS = 1 << 20
HIGHEST_RANK = 16
_HIGHEST_TYPE = 64
_HIGHEST_ALLOCATION = 16
_HIGHEST_OPERATOR = 1 << 10
_MAPS = Path("/proc/self/maps")


class AbiError(Exception):
    """The interpreter's structures are other than expected; the message says where."""


class MappedMemory:
    """The memory that this process may read, as it is now.

    Parameters
    ----------
    maps : the kernel's list of it. Where there is none, all counts as readable.
    """

    def __init__(self, maps: Path = _MAPS) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        try:
            lines = maps.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        for line in lines:
            span, access = line.split(maxsplit=2)[:2]
            if not access.startswith("r"):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            if self._ends and self._ends[-1] == start:
                self._ends[-1] = end
            else:
                self._starts.append(start)
                self._ends.append(end)

    def has(self, address: int | None, size: int) -> bool:
        """Whether `size` bytes at `address` can be read."""
        if not self._starts:
            return bool(address)
        if not address or size < 0:
            return False
        place = bisect_right(self._starts, address) - 1
        return place >= 0 and address + size <= self._ends[place]

    def require(self, address: int | None, size: int, what: str) -> None:
        """Raise `AbiError` unless `size` bytes at `address` can be read."""
        if not self.has(address, size):
            raise AbiError(f"{what} is not in memory")

    def integers(self, address: int | None, most: int, what: str) -> tuple[int, ...]:
        """The list of integers at `address`, of at most so many elements."""
        if not address:
            return ()
        self.require(address, sizeof(c_int), what)
        count = c_int.from_address(address).value
        if not 0 <= count <= most:
            raise AbiError(f"{what} has {count} elements")
        self.require(address, (count + 1) * sizeof(c_int), what)
        return read_int_array(address)


def check_tensors(context: TfLiteContext, memory: MappedMemory) -> None:
    """Check the table of tensors; raises `AbiError`."""
    count = context.tensors_size
    if not 0 < count <= MOST_TENSORS:
        raise AbiError(f"the interpreter has {count} tensors")
    memory.require(context.tensors, count * TENSOR_BYTES, "the table of tensors")
    known = 0
    for index in range(count):
        tensor, what = tensor_at(context, index), f"tensor {index}"
        if not 0 <= tensor.type < _HIGHEST_TYPE:
            raise AbiError(f"{what} has type {tensor.type}")
        if not 0 <= tensor.allocation_type < _HIGHEST_ALLOCATION:
            raise AbiError(f"{what} has allocation type {tensor.allocation_type}")
        shape = memory.integers(tensor.dims, HIGHEST_RANK, f"the shape of {what}")
        element = ELEMENT_TYPES.get(tensor.type)
        if element is None or not tensor.data or not tensor.bytes:
            continue
        if min(shape, default=1) < 0 or prod(shape) * element.itemsize != tensor.bytes:
            raise AbiError(f"{what} of shape {list(shape)} has {tensor.bytes} bytes")
        memory.require(tensor.data, tensor.bytes, f"the data of {what}")
        known += 1


def check_node(
    context: TfLiteContext, memory: MappedMemory, node: TfLiteNode, registration: TfLiteRegistration
) -> None:
    """Check a node and its kernel; raises `AbiError`."""
    for name, address in (("inputs", node.inputs), ("outputs", node.outputs)):
        for tensor in memory.integers(address, MOST_TENSORS, f"a node's {name}"):
            if not -1 <= tensor < context.tensors_size:
                raise AbiError(f"a node's {name} hold tensor {tensor} of {context.tensors_size}")
    if not 0 <= registration.builtin_code < _HIGHEST_OPERATOR:
        raise AbiError(f"a node's operator has code {registration.builtin_code}")


def check_status(status: int, what: str) -> None:
    """Raise `AbiError` unless the interpreter has answered `OK`."""
    if status != OK:
        raise AbiError(f"the interpreter does not give {what}")
