"""A segment that an interpreter has handed over: the kernel behind one of its nodes."""

from collections.abc import Callable, Collection
from ctypes import addressof, c_uint8, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import DelegateError
from npu.model.graph import Graph
from npu.tflite_delegate.abi import (
    OK,
    TENSOR_BYTES,
    TfLiteContext,
    TfLiteTensor,
    give_int_array,
    read_int_array,
    tensor_at,
)
from npu.tflite_delegate.execution import Execution
from npu.tflite_delegate.report import SegmentRecord
from npu.tflite_delegate.resizing import resized

_TENSORS, _DATA = TfLiteContext.tensors.offset, TfLiteTensor.data.offset

MakeExecution = Callable[[Graph], Execution]


class ClaimedSegment:
    """A segment within its interpreter; called by one thread at a time, as its interpreter is.

    Parameters
    ----------
    graph : the segment as a graph of its own, in the shapes of the file.
    make : makes what runs it.
    record : counts its runs.
    computed : its constants that follow from shapes, see `resized`.
    fixed : it cannot be made anew for other shapes.
    """

    def __init__(
        self,
        graph: Graph,
        make: MakeExecution,
        record: SegmentRecord,
        *,
        computed: Collection[int] = (),
        fixed: bool = False,
    ) -> None:
        self._stored = self._graph = graph
        self._make, self._record = make, record
        self._computed, self._fixed = computed, fixed
        self._execution = self._prepared()
        self._ends = (*graph.inputs, *graph.outputs)
        self._table: int | None = None
        self._cells: list[c_void_p] = []
        self._addresses: list[int | None] = []
        self._inputs: dict[int, NDArray[Any]] = {}
        self._outputs: dict[int, NDArray[Any]] = {}

    def _prepared(self) -> Execution:
        made = self._make(self._graph)
        self._record.macs, self._record.on_cpu = made.macs, made.on_cpu
        return made

    def prepare(self, context_address: int) -> None:
        """The interpreter plans its memory: take its inputs' shapes, and say the outputs'.

        Raises `NpuError` when the segment does not take them.
        """
        context = TfLiteContext.from_address(context_address)
        shapes = {i: read_int_array(tensor_at(context, i).dims) for i in self._graph.inputs}
        if any(self._graph.tensors[i].shape != shape for i, shape in shapes.items()):
            self._resize(shapes)
        for index in self._graph.outputs:
            tensor, shape = tensor_at(context, index), self._graph.tensors[index].shape
            if read_int_array(tensor.dims) != shape:
                status = context.ResizeTensor(
                    context_address, addressof(tensor), give_int_array(shape)
                )
                if status != OK:
                    raise DelegateError(f"the interpreter does not resize tensor {index}")
        # memory may be planned anew at the same addresses for other shapes
        self._addresses = []

    def _resize(self, shapes: dict[int, tuple[int, ...]]) -> None:
        if self._fixed:
            index, shape = next(
                (i, s) for i, s in shapes.items() if s != self._stored.tensors[i].shape
            )
            raise DelegateError(
                f"a compiled segment takes {list(self._stored.tensors[index].shape)}, given was "
                f"{list(shape)}; compile the network for that shape"
            )
        self._graph = resized(self._stored, shapes, self._computed)
        self._execution = self._prepared()

    def invoke(self, context_address: int) -> None:
        """Run once, in the interpreter's memory.

        Raises `NpuError` when the backend stops.
        """
        table = c_void_p.from_address(context_address + _TENSORS).value
        if table != self._table:
            # tensors have been added, by another delegate for one
            self._table = table
            base = (table or 0) + _DATA
            self._cells = [c_void_p.from_address(base + i * TENSOR_BYTES) for i in self._ends]
        addresses = [cell.value for cell in self._cells]
        if addresses != self._addresses:
            self._bind(addresses)
        self._record.ran(self._execution.run(self._inputs, self._outputs))

    def _bind(self, addresses: list[int | None]) -> None:
        views = {}
        for index, address in zip(self._ends, addresses, strict=True):
            tensor = self._graph.tensors[index]
            if address is None:
                raise DelegateError(f"tensor {tensor.name!r} has no memory")
            memory = (c_uint8 * (tensor.size * tensor.dtype.itemsize)).from_address(address)
            view = np.frombuffer(memoryview(memory), np.uint8).view(tensor.dtype)
            views[index] = view.reshape(tensor.shape)
        self._inputs = {i: views[i] for i in self._graph.inputs}
        self._outputs = {i: views[i] for i in self._graph.outputs}
        self._addresses = addresses
