"""The backend without hardware: the whole network on the reference kernels."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.model.graph import Graph
from npu.offload.processor import processor
from npu.offload.result import LayerResult, RunResult
from npu.reference.network import run_reference

REASON, NO_KERNEL = "reference kernels", "no kernel has it"


def run_on_reference(
    graph: Graph, inputs: Mapping[int, NDArray[Any]], rounding: Rounding = Rounding.DOUBLE
) -> RunResult:
    """Run `graph` on `inputs` by tensor index; every tensor is kept, nothing is timed.

    `rounding` is how the kernels round where they rescale by a quantized multiplier.

    Raises `UnsupportedOperatorError` for an operator without a kernel, before anything runs.
    """
    values = run_reference(graph, inputs, rounding=rounding)
    layers = tuple(
        LayerResult(
            index=op.index,
            kind=op.kind,
            placed=processor(graph, op),
            reason=REASON if processor(graph, op) == "CPU" else NO_KERNEL,
            macs=graph.macs(op),
        )
        for op in graph.operators
    )
    return RunResult(outputs={i: values[i] for i in graph.outputs}, values=values, layers=layers)
