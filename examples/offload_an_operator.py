"""Teach the compiler an operator: a kernel, a rule, and it runs on the NPU.

    python examples/offload_an_operator.py

This reaches into what is internal, as an operator of the project itself does (CONTRIBUTING.md).
TFLM has no GELU, so a converter leaves it to you as a custom operator. Of int8 it is a function of
one byte, which the NPU's table holds: what is missing is a kernel that fills the table, and a rule.
"""

from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

import npu
from npu.compiler.lowering.elementwise import TABLE_KINDS
from npu.compiler.rules.operators import RULES, extents_in_range, int8_activations
from npu.model.graph import Graph, Operator, Quantization, Tensor
from npu.model.options import NoOptions
from npu.model.quant_params import scale_and_zero_point
from npu.reference.executors.common import Context, TypedExecutor, operand
from npu.reference.executors.registry import EXECUTORS

GELU = "CUSTOM:GELU"


def gelu(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    """The kernel: real values, rounded to the output's scale."""
    scale, zero_point = scale_and_zero_point(graph.tensors[op.inputs[0]])
    ofm_scale, ofm_zero_point = scale_and_zero_point(graph.output_tensor(op))
    x = (np.arange(-128, 128) - zero_point) * scale
    y = [v * (1 + erf(v / sqrt(2))) / 2 / ofm_scale for v in x]
    table = np.clip(np.rint(y) + ofm_zero_point, -128, 127).astype(np.int8)
    ofm: NDArray[np.int8] = table[operand(graph, op, 0, context).astype(np.int16) + 128]
    return ofm


def below_4096_pixels(graph: Graph, op: Operator) -> bool:
    """GELU is for maps of up to 4096 pixels"""
    return int(np.prod(graph.output_tensor(op).shape[:-1])) <= 4096


def network(height: int) -> npu.Network:
    """One GELU of a map, as the reader would give it."""
    quantization = Quantization(np.array([0.05], np.float32), np.array([3]))
    shape = (1, height, 64, 16)
    tensors = [Tensor(i, "xy"[i], shape, np.dtype(np.int8), quantization) for i in (0, 1)]
    return npu.Network(
        Graph("gelu", tuple(tensors), (Operator(0, GELU, (0,), (1,), NoOptions()),), (0,), (1,))
    )


EXECUTORS[GELU] = (TypedExecutor(gelu, ("int8",)),)
print("with a kernel alone:", npu.compile(network(8)).reasons)

TABLE_KINDS.add(GELU)
RULES[GELU] = [int8_activations, extents_in_range, below_4096_pixels]
for height in (8, 128):
    print(f"with a rule, {height} rows:", npu.compile(network(height)).columns()["placed"])
print("what the rule says:", npu.compile(network(128)).reasons[0])

on_npu = npu.run(network(8), backend="cycle")
on_cpu = npu.run(network(8), backend="reference")
same = np.array_equal(on_npu.outputs[0], on_cpu.outputs[0])
print(f"{on_npu.cycles:,} cycles on the NPU, the same bits as the kernel: {same}")
