"""Operators that together are a function of one byte: one table instead of them all.

Between two int8 tensors there may be operators on float32 or bool, as the converter leaves them:
DEQUANTIZE > NEG > QUANTIZE, or GREATER > SELECT_V2. If each computes every element by itself, the
last one's output is a function of the first one's input, whatever happens in between.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernels import float32
from kernels.lookup import UNARY_KINDS
from kernels.requantize import Rounding
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.shapes import natural_extent
from npu.compiler.terms.tasks import ElementwiseTask
from npu.model.graph import Graph, Operator
from npu.reference.executors.common import Context
from npu.reference.executors.registry import run_operator
from rtl.isa import Function

ELEMENT_KINDS = frozenset(
    {
        *("DEQUANTIZE", "QUANTIZE", "CAST", "SELECT_V2", "SQUARED_DIFFERENCE"),
        *("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"),
        *("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT"),
        *float32.UNARY,
        *float32.BINARY,
        *UNARY_KINDS,
    }
)
"""Operators that compute every element of their output from the same element of their inputs."""

BYTES = (np.int8, np.uint8)


@dataclass(frozen=True)
class Composition:
    """Operators that are one table together.

    Attributes
    ----------
    members : their indices, in execution order.
    source : the int8 or uint8 tensor that they are a function of.
    """

    members: tuple[int, ...]
    source: int

    @property
    def last(self) -> int:
        """The member that makes the output."""
        return self.members[-1]

    @property
    def inner(self) -> frozenset[int]:
        """The other members, whose outputs nobody else reads."""
        return frozenset(self.members[:-1])


def find_compositions(graph: Graph, run: Collection[int] | None = None) -> tuple[Composition, ...]:
    """The compositions of a graph, or those of which `run` holds every operator."""
    found = (find_composition(graph, op) for op in graph.operators if op.kind in ELEMENT_KINDS)
    return tuple(
        one for one in found if one is not None and (run is None or set(one.members) <= set(run))
    )


def find_composition(graph: Graph, last: Operator) -> Composition | None:
    """The composition whose output `last` makes, if there is one."""
    output = graph.output_tensor(last)
    if output.dtype not in BYTES:
        return None
    members, sources, waiting = {last.index}, set(), [*last.present_inputs]
    while waiting:
        tensor = graph.tensors[waiting.pop()]
        if tensor.is_constant:
            if tensor.size != 1:
                return None
            continue
        if tensor.shape != output.shape:
            return None
        if tensor.dtype in BYTES:
            sources.add(tensor.index)
            continue
        producer = graph.producer(tensor.index)
        if producer is None or producer.kind not in ELEMENT_KINDS or tensor.index in graph.outputs:
            return None
        if producer.index not in members:
            members.add(producer.index)
            waiting += producer.present_inputs
    inner = {t for i in members - {last.index} for t in graph.operator(i).outputs}
    read = {consumer.index for tensor in inner for consumer in graph.consumers(tensor)}
    if not inner or len(sources) != 1 or not read <= members:
        return None
    return Composition(tuple(sorted(members)), sources.pop())


def lower_composition(
    graph: Graph, composition: Composition, rounding: Rounding
) -> LoweredOperator:
    """Lower a composition, as its last operator.

    Raises
    ------
    ModelError, UnsupportedOperatorError : parameters, or one of the values of a byte, that a kernel
        does not accept.
    """
    op = graph.operator(composition.last)
    task = ElementwiseTask(
        function=Function.TABLE,
        extent=natural_extent(graph.output_tensor(op).shape),
        table=_table(graph, composition, rounding),
    )
    return LoweredOperator(op.index, op.kind, 0, (composition.source,), op.outputs[0], (task,))


def _table(graph: Graph, composition: Composition, rounding: Rounding) -> NDArray[np.uint8]:
    tensors = list(graph.tensors)
    operators = [graph.operator(index) for index in composition.members]
    for index in (composition.source, *(t for op in operators for t in op.outputs)):
        tensors[index] = replace(tensors[index], shape=(256,))
    every = np.arange(256).astype(np.uint8).view(tensors[composition.source].dtype)
    context = Context({composition.source: every}, rounding)
    # of values that never occur there may be no logarithm
    with np.errstate(all="ignore"):
        for op in operators:
            run_operator(replace(graph, tensors=tuple(tensors)), op, context)
    table: NDArray[np.uint8] = context.values[operators[-1].outputs[0]].view(np.uint8)
    return table
