"""Which BATCH_MATMUL and TRANSPOSE_CONV the NPU takes: see `npu.compiler.rules.operators`."""

from math import prod

import numpy as np

from kernels.quantization import mul_multiplier
from npu.compiler.lowering.reduction import MAP_LIMIT
from npu.compiler.lowering.transpose_conv import lower_transpose_conv
from npu.compiler.terms.geometry import Extent
from npu.compiler.terms.normalize import FIELD_LIMIT
from npu.compiler.terms.shapes import CHANNEL_LIMIT, EXTENT_LIMIT
from npu.model.graph import Graph, Operator
from npu.model.options import Activation, BatchMatMulOptions, TransposeConvOptions
from npu.model.quant_params import scale_and_zero_point
from rtl.isa import MAX_LEFT_SHIFT

BATCH_LIMIT = 256
"""Products of one operator at most: each takes several commands."""


def int8_matrices(graph: Graph, op: Operator) -> bool:
    """both operands must be int8, and the first one no constant"""
    operands = [graph.tensors[i] for i in op.inputs]
    return all(t.dtype == np.int8 for t in operands) and not operands[0].is_constant


def matrices_in_range(graph: Graph, op: Operator) -> bool:
    """matrices may have up to 65535 rows and 16380 columns, and there may be up to 256 of them"""
    options = op.options_as(BatchMatMulOptions)
    *batches, rows, columns = graph.output_tensor(op).shape
    depth = graph.tensors[op.inputs[0]].shape[-2 if options.adj_x else -1]
    return (
        rows <= EXTENT_LIMIT
        and max(columns, depth) <= CHANNEL_LIMIT
        and prod(batches) <= BATCH_LIMIT
    )


def products_rescale(graph: Graph, op: Operator) -> bool:
    """the scales must make a multiplier below 2**7"""
    a, b = (scale_and_zero_point(graph.tensors[i])[0] for i in op.inputs)
    ofm, _ = scale_and_zero_point(graph.output_tensor(op))
    try:
        _, shift = mul_multiplier(a, b, ofm)
    except ValueError:
        return False
    return shift <= MAX_LEFT_SHIFT


def one_map_to_another(graph: Graph, op: Operator) -> bool:
    """input and output must have the same batch of up to 64, and the input must be no constant"""
    ifm, ofm = graph.tensors[op.inputs[2]], graph.output_tensor(op)
    return ifm.shape[0] == ofm.shape[0] <= MAP_LIMIT and not ifm.is_constant


def constant_kernel(graph: Graph, op: Operator) -> bool:
    """weights must be constant int8, and the bias constant int32"""
    weights, bias = graph.tensors[op.inputs[1]], graph.input_tensor(op, 3)
    held = weights.is_constant and weights.dtype == np.int8
    return held and (bias is None or (bias.is_constant and bias.dtype == np.int32))


def clamped(graph: Graph, op: Operator) -> bool:
    """the fused activation must be NONE, RELU, RELU6 or RELU_N1_TO_1"""
    allowed = (Activation.NONE, Activation.RELU, Activation.RELU6, Activation.RELU_N1_TO_1)
    return op.options_as(TransposeConvOptions).activation in allowed


def phases_in_range(graph: Graph, op: Operator) -> bool:
    """kernels may have up to 255 rows and columns, maps up to 65535, channels times stride 16380"""
    options = op.options_as(TransposeConvOptions)
    ifm = Extent(*graph.tensors[op.inputs[2]].shape[1:])
    ofm = Extent(*graph.output_tensor(op).shape[1:])
    sides = ifm.height, ifm.width, ofm.height, ofm.width
    channels = max(ifm.channels, ofm.channels * options.stride_w)
    kernel = graph.tensors[op.inputs[1]].shape[1:3]
    in_range = (
        max(kernel) <= FIELD_LIMIT and max(sides) <= EXTENT_LIMIT and channels <= CHANNEL_LIMIT
    )
    # also refuses parameters that no kernel accepts
    return in_range and any(True for _ in lower_transpose_conv(graph, op))
