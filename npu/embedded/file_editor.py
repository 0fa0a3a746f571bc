"""A `.tflite` file taken apart and put together again, with what is no longer used left out."""

from collections.abc import Iterable
from typing import Any

from npu.model.file_writer import AlignedBuffer, pack_model
from npu.model.graph import ABSENT
from npu.model.schema import schema

PLANS = (b"OfflineMemoryAllocation", b"model_control_dependencies")
"""Metadata that name tensors or operators by number: no longer true when these change."""


def unpack(file: bytes) -> Any:
    """The file as the schema's object tree."""
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(file, 0))


def buffer_data(file: bytes, index: int) -> bytes:
    """The contents of a buffer of the file, wherever it lies in it."""
    stored = schema.Model.GetRootAs(file, 0).Buffers(index)
    if stored.Offset() > 1:
        return file[stored.Offset() : stored.Offset() + stored.Size()]
    return bytes(stored.DataAsNumpy()) if stored.DataLength() else b""


def pack(model: Any, file: bytes, data: dict[int, bytes]) -> bytes:
    """The file of `model`, whose buffers are those of `file` unless `data` has others.

    Tensors of the first subgraph that nothing uses, operator codes and buffers likewise, are left
    out, and every index follows.
    """
    model.metadata = [
        entry for entry in _listed(model.metadata) if bytes(_name(entry)) not in PLANS
    ] or None
    _drop_tensors(model)
    _drop_codes(model)
    _drop_buffers(model, file, data)
    return pack_model(model)


def _name(entry: Any) -> bytes:
    return entry.name if isinstance(entry.name, bytes) else str(entry.name or "").encode()


def _listed(values: Any) -> list[Any]:
    return [] if values is None else list(values)


def _drop_tensors(model: Any) -> None:
    graph = model.subgraphs[0]
    lists = [(graph, "inputs"), (graph, "outputs")]
    lists += [(op, n) for op in graph.operators for n in ("inputs", "outputs", "intermediates")]
    used = {int(i) for owner, name in lists for i in _listed(getattr(owner, name))} - {ABSENT}
    kept = [i for i in range(len(graph.tensors)) if i in used]
    places = {old: new for new, old in enumerate(kept)} | {ABSENT: ABSENT}
    graph.tensors = [graph.tensors[i] for i in kept]
    for owner, name in lists:
        values = getattr(owner, name)
        if values is not None:
            setattr(owner, name, [places[int(i)] for i in values])
    for signature in _listed(model.signatureDefs):
        if signature.subgraphIndex == 0:
            for entry in (*_listed(signature.inputs), *_listed(signature.outputs)):
                entry.tensorIndex = places[entry.tensorIndex]


def _drop_codes(model: Any) -> None:
    operators = [op for graph in model.subgraphs for op in _listed(graph.operators)]
    places = _kept(op.opcodeIndex for op in operators)
    model.operatorCodes = [model.operatorCodes[i] for i in places]
    for op in operators:
        op.opcodeIndex = places[op.opcodeIndex]


def _drop_buffers(model: Any, file: bytes, data: dict[int, bytes]) -> None:
    tensors = [t for graph in model.subgraphs for t in _listed(graph.tensors)]
    owners = [*tensors, *_listed(model.metadata)]
    # buffer 0 is the one that is empty
    places = _kept([0, *(owner.buffer for owner in owners)])
    made = []
    for index in places:
        value = data[index] if index in data else buffer_data(file, index)
        made.append(AlignedBuffer(value) if value else schema.BufferT())
    model.buffers = made
    for owner in owners:
        owner.buffer = places[owner.buffer]
    listed = _listed(model.metadataBuffer)
    model.metadataBuffer = [places[i] for i in listed if i in places] or None


def _kept(indices: Iterable[int]) -> dict[int, int]:
    """New indices by old ones, of those that are used, in their order."""
    return {old: new for new, old in enumerate(sorted({int(i) for i in indices}))}
