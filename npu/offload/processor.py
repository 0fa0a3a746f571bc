"""What runs the operators that the NPU does not."""

from npu.model.graph import Graph, Operator
from npu.offload.result import Processor
from npu.reference.executors.registry import runs_in_tflm


def processor(graph: Graph, op: Operator) -> Processor:
    """A kernel of ours, or TFLM's interpreter where there is none."""
    return "CPU (TFLM)" if runs_in_tflm(graph, op) else "CPU"
