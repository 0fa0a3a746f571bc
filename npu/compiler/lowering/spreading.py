"""Operands of one channel that meet maps of many: a convolution repeats the channel first."""

import numpy as np

from npu.compiler.terms.geometry import Area, Extent, SlidingWindow
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.model.graph import Operator
from rtl.isa import Opcode


def lower_spreading(op: Operator, tensor: int, target: int, spread: Extent) -> LoweredOperator:
    """`target` as `tensor` with its one channel in all channels of `spread`; a part of `op`."""
    outputs = spread.channels
    task = GridTask(
        opcode=Opcode.CONV,
        ifm=Extent(spread.height, spread.width, 1),
        ofm=spread,
        window=SlidingWindow(),
        area=Area.of_all(spread),
        weights=np.ones((outputs, 1, 1, 1), np.int8),
        bias=np.zeros(outputs, np.int32),
        multiplier=np.full(outputs, IDENTITY[0], np.int32),
        shift=np.full(outputs, IDENTITY[1], np.int32),
        ifm_zero_point=0,
        ofm_zero_point=0,
        activation_min=-128,
        activation_max=127,
    )
    return LoweredOperator(op.index, op.kind, 0, (tensor,), target, (task,))
