"""RESIZE_NEAREST_NEIGHBOR as a convolution with the identity, where that is faster than copies.

In memory, a map of W * s columns and C channels is also one of W columns and s * C channels: the
convolution makes the columns, and rows are stored several times.
"""

import numpy as np
from numpy.typing import NDArray

from npu.compiler.lowering.movement import nearest_steps
from npu.compiler.stream.estimate import ROW_OVERHEAD
from npu.compiler.terms.geometry import Area, Extent, SlidingWindow, ceil_div
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.shapes import CHANNEL_LIMIT, natural_extent
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.model.graph import Graph, Operator
from rtl.config import NpuConfig
from rtl.isa import Opcode


def grid_enlarges(graph: Graph, op: Operator, config: NpuConfig) -> bool:
    """Whether a RESIZE_NEAREST_NEIGHBOR is a convolution that takes fewer cycles than copies."""
    factors = enlargement(graph, op)
    if factors is None or factors[1] == 1:
        return False
    extent = natural_extent(graph.tensors[op.inputs[0]].shape)
    runs = extent.pixels * factors[0] * factors[1]
    copied = runs * max(ceil_div(extent.channels, config.bus_bytes), ROW_OVERHEAD)
    groups = ceil_div(extent.pixels, config.pixels) * extent.planes(config.lanes)
    computed = groups * ceil_div(factors[1] * extent.channels, config.channels)
    stored = runs * extent.channels // config.bus_bytes
    return max(computed, stored) < copied


def enlargement(graph: Graph, op: Operator) -> tuple[int, int] | None:
    """How often a RESIZE_NEAREST_NEIGHBOR repeats rows and columns, if it does nothing else."""
    steps = nearest_steps(graph, op)
    ifm, ofm = graph.tensors[op.inputs[0]].shape, graph.output_tensor(op).shape
    if steps is None or ifm[0] != 1:
        return None
    rows, columns = steps[0][2], steps[1][2]
    whole = (ifm[1] * rows, ifm[2] * columns) == ofm[1:3]
    return (rows, columns) if whole and ofm[3] * columns <= CHANNEL_LIMIT else None


def lower_enlargement(graph: Graph, op: Operator) -> LoweredOperator:
    """Lower a RESIZE_NEAREST_NEIGHBOR that repeats rows and columns."""
    factors = enlargement(graph, op)
    assert factors is not None
    rows, columns = factors
    ifm = natural_extent(graph.tensors[op.inputs[0]].shape)
    outputs = columns * ifm.channels
    ofm = Extent(ifm.height, ifm.width, outputs)
    identity = np.eye(ifm.channels, dtype=np.int8)
    task = GridTask(
        opcode=Opcode.CONV,
        ifm=ifm,
        ofm=ofm,
        window=SlidingWindow(),
        area=Area.of_all(ofm),
        weights=np.tile(identity, (columns, 1)).reshape(outputs, 1, 1, ifm.channels),
        bias=np.zeros(outputs, np.int32),
        multiplier=np.full(outputs, IDENTITY[0], np.int32),
        shift=np.full(outputs, IDENTITY[1], np.int32),
        ifm_zero_point=0,
        ofm_zero_point=0,
        activation_min=-128,
        activation_max=127,
    )
    shape = ofm.height, rows, ofm.width, ofm.channels

    def part(array: NDArray[np.int8]) -> NDArray[np.int8]:
        repeated = array.reshape(shape, copy=False).transpose(1, 0, 2, 3)
        return repeated if rows > 1 else repeated[0]

    return LoweredOperator(
        index=op.index,
        kind=op.kind,
        macs=0,
        sources=(op.inputs[0],),
        target=op.outputs[0],
        tasks=(task,),
        part=part,
        repeats=rows,
    )
