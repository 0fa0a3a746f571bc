"""Variables that operators read and assign by name."""

from npu.model.graph import Graph
from npu.model.options import VariableOptions


def variable_name(graph: Graph, handle: int) -> str:
    """The name behind the tensor `handle`, which VAR_HANDLE writes; ValueError otherwise."""
    producer = graph.producer(handle)
    if producer is None or producer.kind != "VAR_HANDLE":
        raise ValueError(f"{graph.tensors[handle].name!r} is not written by VAR_HANDLE")
    return producer.options_as(VariableOptions).name
