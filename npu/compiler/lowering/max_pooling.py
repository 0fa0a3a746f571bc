"""MAX_POOL_2D."""

import numpy as np

from npu.compiler.terms.geometry import Area, Extent, SlidingWindow
from npu.compiler.terms.shapes import natural_extent
from npu.compiler.terms.tasks import IDENTITY, GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import PoolOptions
from npu.model.quant_params import activation_range, window_geometry
from rtl.isa import Opcode

INT8_MIN = -128


def lower_max_pool(graph: Graph, op: Operator, ifm: Extent) -> GridTask:
    """Lower a MAX_POOL_2D of the map `ifm`."""
    low, high = activation_range(graph, op, op.options_as(PoolOptions).activation)
    windows = window_geometry(graph, op)
    ofm = natural_extent(graph.output_tensor(op).shape)
    return GridTask(
        opcode=Opcode.MAX_POOL,
        ifm=ifm,
        ofm=ofm,
        window=SlidingWindow(
            height=windows.kernel[0],
            width=windows.kernel[1],
            stride_y=windows.stride[0],
            stride_x=windows.stride[1],
            pad_top=windows.padding[0],
            pad_left=windows.padding[1],
        ),
        area=Area.of_all(ofm),
        weights=None,
        bias=np.zeros(ofm.channels, np.int32),
        multiplier=np.full(ofm.channels, IDENTITY[0], np.int32),
        shift=np.full(ofm.channels, IDENTITY[1], np.int32),
        ifm_zero_point=INT8_MIN,
        ofm_zero_point=0,
        activation_min=low,
        activation_max=high,
    )
