"""FULLY_CONNECTED as a convolution of one pixel, or of a window as large as the map."""

from npu.compiler.terms.geometry import Area, Extent, SlidingWindow
from npu.compiler.terms.layout import fold_zero_point
from npu.compiler.terms.tasks import GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import FullyConnectedOptions
from npu.model.quant_params import product_parameters
from rtl.isa import Opcode


def lower_fully_connected(graph: Graph, op: Operator, ifm: Extent | None) -> GridTask:
    """Lower a FULLY_CONNECTED; `ifm` is the map that the NPU has made of its input, if it has."""
    parameters = product_parameters(graph, op, op.options_as(FullyConnectedOptions).activation)
    weights = graph.tensors[op.inputs[1]].data
    assert weights is not None
    outputs, inputs = weights.shape
    rows = graph.tensors[op.inputs[0]].size // inputs
    if ifm is None or ifm.channels == inputs:
        ifm = Extent(1, rows, inputs)
    # a map that is not flat is reduced by a kernel of its own size
    height, width = (1, 1) if ifm.channels == inputs else (ifm.height, ifm.width)
    ofm = Extent(1, rows, outputs)
    return GridTask(
        opcode=Opcode.CONV,
        ifm=ifm,
        ofm=ofm,
        window=SlidingWindow(height=height, width=width),
        area=Area.of_all(ofm),
        weights=weights.reshape(outputs, height, width, ifm.channels),
        bias=fold_zero_point(parameters.bias, weights, parameters.ifm_zero_point, 0),
        **parameters.arguments(),
    )
