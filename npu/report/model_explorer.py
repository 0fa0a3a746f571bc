"""Cycles per operator as node data of Model Explorer (https://github.com/google-ai-edge/model-explorer).

The format is that of `GraphNodeData` in its package's `node_data_builder.py`: values by node, the
name of the column, and a colour scale. A node is named by its first output tensor, as its two
readers of `.tflite` files both know it, or, where that name is not the node's alone, by the
operator's index, which is the node's id.
"""

from collections import Counter
from typing import Any

from npu.model.graph import Graph
from npu.offload.result import RunResult

LIGHT, DARK = "#e8f4f2", "#1f9e89"
"""Of the fewest and of the most cycles."""
ON_CPU = "#f6d5c4"
"""Of operators that the NPU does not take; they have no cycles."""


def node_data(graph: Graph, result: RunResult, name: str) -> dict[str, Any]:
    """Cycles of each operator where the run has them, else its useful MACs.

    Parameters
    ----------
    name : of the column, before the unit: what ran it.
    """
    named = Counter(tensor.name for tensor in graph.tensors)
    timed = result.cycles is not None
    results: dict[str, dict[str, Any]] = {}
    for op, layer in zip(graph.operators, result.layers, strict=True):
        tensor = graph.output_tensor(op).name if op.outputs else ""
        node = tensor if tensor and named[tensor] == 1 else str(op.index)
        value = layer.cycles if timed else layer.macs
        results[node] = {"value": value or 0}
        if layer.placed != "NPU":
            results[node]["bgColor"] = ON_CPU
    return {
        "name": f"{name}: {'cycles' if timed else 'MACs'}",
        "results": results,
        "gradient": [{"stop": 0, "bgColor": LIGHT}, {"stop": 1, "bgColor": DARK}],
    }
