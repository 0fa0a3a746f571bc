"""PAD: folded into the convolutions behind it, or an operator of its own.

Of its own it is a window of one tap that reads the padding value outside the map. Channels are
padded by a convolution with the identity.
"""

from collections.abc import Collection

import numpy as np

from npu.compiler.terms.geometry import Area, SlidingWindow
from npu.compiler.terms.normalize import FIELD_LIMIT
from npu.compiler.terms.operator import LoweredOperator
from npu.compiler.terms.shapes import map_extent
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.model.graph import Graph, Operator
from npu.model.quant_params import scale_and_zero_point, window_geometry
from rtl.isa import Opcode

PAD_KINDS = frozenset({"PAD", "PADV2"})
FOLDABLE_INTO = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D"})


def paddings(graph: Graph, op: Operator) -> tuple[tuple[int, int], ...]:
    """The amounts of a PAD as ((before, after), ...) per dimension."""
    amounts = graph.tensors[op.inputs[1]].data
    assert amounts is not None
    return tuple((int(before), int(after)) for before, after in amounts)


def folds(graph: Graph, op: Operator, run: Collection[int]) -> bool:
    """Whether every reader of a PAD's output is a convolution of `run` that can pad by itself.

    `run` holds indices of operators for the NPU.
    """
    consumers = graph.consumers(op.outputs[0])
    if op.kind != "PAD" or op.outputs[0] in graph.outputs or not consumers:
        return False
    amounts = paddings(graph, op)
    if len(amounts) != 4 or amounts[3] != (0, 0) or graph.tensors[op.inputs[0]].shape[0] > 1:
        return False
    for consumer in consumers:
        if consumer.kind not in FOLDABLE_INTO or consumer.index not in run:
            return False
        windows = window_geometry(graph, consumer)
        for axis in (0, 1):
            span = (windows.kernel[axis] - 1) * windows.dilation[axis] + 1
            before = amounts[1 + axis][0] + windows.padding[axis]
            if max(before, amounts[1 + axis][1] + windows.padding[axis]) >= span:
                return False
            if before > FIELD_LIMIT:
                return False
    return True


def padding_value(graph: Graph, op: Operator) -> int:
    """What PAD or PADV2 pads with, int8."""
    if op.kind == "PADV2":
        value = graph.tensors[op.inputs[2]].data
        assert value is not None
        return int(value.item())
    return scale_and_zero_point(graph.output_tensor(op))[1]


def lower_padding(graph: Graph, op: Operator) -> LoweredOperator:
    """Lower a PAD or PADV2 that is not folded."""
    ifm = map_extent(graph.tensors[op.inputs[0]].shape)
    ofm = map_extent(graph.output_tensor(op).shape)
    amounts = ((0, 0), (0, 0), (0, 0), *paddings(graph, op))[-3:]
    value = padding_value(graph, op)
    first_channel = amounts[2][0]
    weights = None
    bias = np.zeros(ofm.channels, np.int32)
    if ofm.channels != ifm.channels:
        weights = np.zeros((ofm.channels, 1, 1, ifm.channels), np.int8)
        channels = np.arange(ifm.channels)
        weights[first_channel + channels, 0, 0, channels] = 1
        bias[:] = value
        bias[first_channel + channels] = 0
    task = GridTask(
        opcode=Opcode.MAX_POOL if weights is None else Opcode.CONV,
        ifm=ifm,
        ofm=ofm,
        window=SlidingWindow(pad_top=amounts[0][0], pad_left=amounts[1][0]),
        area=Area.of_all(ofm),
        weights=weights,
        bias=bias,
        multiplier=np.full(ofm.channels, IDENTITY[0], np.int32),
        shift=np.full(ofm.channels, IDENTITY[1], np.int32),
        ifm_zero_point=value,
        ofm_zero_point=0,
        activation_min=-128,
        activation_max=127,
    )
    return LoweredOperator(op.index, op.kind, 0, (op.inputs[0],), op.outputs[0], (task,))
