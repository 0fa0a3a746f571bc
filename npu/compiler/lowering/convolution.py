"""CONV_2D and DEPTHWISE_CONV_2D."""

from npu.compiler.terms.geometry import Area, Extent, SlidingWindow
from npu.compiler.terms.layout import fold_zero_point
from npu.compiler.terms.tasks import GridTask
from npu.model.graph import Graph, Operator
from npu.model.options import Conv2DOptions, DepthwiseConv2DOptions
from npu.model.quant_params import product_parameters, window_geometry
from rtl.isa import Opcode


def convolution_window(graph: Graph, op: Operator, pad: tuple[int, int]) -> SlidingWindow:
    """The window of a convolution, with `pad` rows above and columns left of its map added."""
    windows = window_geometry(graph, op)
    return SlidingWindow(
        height=windows.kernel[0],
        width=windows.kernel[1],
        stride_y=windows.stride[0],
        stride_x=windows.stride[1],
        dilation_y=windows.dilation[0],
        dilation_x=windows.dilation[1],
        pad_top=windows.padding[0] + pad[0],
        pad_left=windows.padding[1] + pad[1],
    )


def lower_convolution(
    graph: Graph, op: Operator, ifm: Extent, ofm: Extent, window: SlidingWindow
) -> GridTask:
    """Lower a convolution of the map `ifm` to the map `ofm`."""
    options = op.options
    assert isinstance(options, Conv2DOptions | DepthwiseConv2DOptions)
    parameters = product_parameters(graph, op, options.activation)
    weights = graph.tensors[op.inputs[1]].data
    assert weights is not None
    groups, opcode = 1, Opcode.CONV
    if isinstance(options, Conv2DOptions):
        groups = ifm.channels // weights.shape[3]
        bias = fold_zero_point(parameters.bias, weights, parameters.ifm_zero_point, 0)
    else:
        bias = fold_zero_point(parameters.bias, weights[0], parameters.ifm_zero_point, 2)
        if ofm.channels == ifm.channels:
            opcode, weights = Opcode.DEPTHWISE, weights[0]
        else:
            # every input channel is a group of its own
            groups, weights = ifm.channels, weights.transpose(3, 1, 2, 0)
    return GridTask(
        opcode=opcode,
        ifm=ifm,
        ofm=ofm,
        window=window,
        area=Area.of_all(ofm),
        weights=weights,
        groups=groups,
        bias=bias,
        **parameters.arguments(),
    )
