"""Checks of what a graph's indices say, before anything follows them.

Each raises `ModelError` with the operator and the tensor.
"""

from npu.errors import ModelError
from npu.model.graph import Graph, Operator, Tensor

# their int4 weights become int8 when the model is read
INT4_WEIGHTS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
PER_CHANNEL = {
    "CONV_2D": (1, 2),
    "DEPTHWISE_CONV_2D": (1, 2),
    "FULLY_CONNECTED": (1, 2),
    "TRANSPOSE_CONV": (1, 3),
}
"""The operands that may have a scale for each channel, by position: weights and biases."""
# the tensors that these read and write as their own state, by position
STATES = {"SVDF": (4,), "UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19)}


def check_calls(graph: Graph) -> None:
    """Refuse operators that give the subgraphs they run other values than these take."""
    for op in graph.operators:
        if op.subgraphs and min(op.inputs, default=0) < 0:
            raise ModelError(f"operator {op.index} ({op.kind}): an input is left out")
        for position, index in enumerate(op.subgraphs):
            called = graph.subgraphs[index]
            given: tuple[int, ...] = op.inputs
            taken: tuple[int, ...] = op.outputs
            if op.kind == "IF":
                given = op.inputs[1:]
            condition = op.kind == "WHILE" and position == 0
            _check_passed(graph, op, given, called, called.inputs)
            if condition:
                _check_condition(op, [called.tensors[i] for i in called.outputs])
            else:
                _check_passed(graph, op, taken, called, called.outputs)
        if op.kind == "IF":
            _check_condition(op, [graph.tensors[i] for i in op.inputs[:1]])
        if op.kind == "WHILE":
            _check_passed(graph, op, op.inputs, graph, op.outputs)


def _check_passed(
    graph: Graph, op: Operator, ours: tuple[int, ...], called: Graph, theirs: tuple[int, ...]
) -> None:
    here = [graph.tensors[i] for i in ours]
    there = [called.tensors[i] for i in theirs]
    if [(t.dtype, t.size) for t in here] != [(t.dtype, t.size) for t in there]:
        raise ModelError(
            f"operator {op.index} ({op.kind}) passes {_listed(here)} to or from subgraph "
            f"{called.subgraph}, which has {_listed(there)}"
        )


def _check_condition(op: Operator, tensors: list[Tensor]) -> None:
    if [(t.type_name, t.size) for t in tensors] != [("bool", 1)]:
        raise ModelError(
            f"operator {op.index} ({op.kind}): the condition is {_listed(tensors)}, one bool "
            "expected"
        )


def _listed(tensors: list[Tensor]) -> str:
    return ", ".join(f"{t.type_name} {list(t.shape)}" for t in tensors) or "nothing"


def check_something_to_run(
    operators: tuple[Operator, ...], inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    """Refuse a main graph without operators, inputs or outputs."""
    if not operators or not inputs or not outputs:
        raise ModelError(
            f"the model has {len(operators)} operators, {len(inputs)} inputs and {len(outputs)} "
            "outputs, at least one of each expected"
        )


def check_references(
    operators: tuple[Operator, ...], inputs: tuple[int, ...], outputs: tuple[int, ...], count: int
) -> set[int]:
    """The tensors that are used; `ModelError` when one does not exist."""
    places = [("the network's inputs", inputs), ("the network's outputs", outputs)]
    for op in operators:
        where = f"operator {op.index} ({op.kind})"
        places += [(where, op.present_inputs), (where, op.outputs)]
    for where, indices in places:
        for index in indices:
            if not 0 <= index < count:
                raise ModelError(f"{where}: tensor {index} is not one of the {count} tensors")
    return {index for _, indices in places for index in indices}


def check_int4(graph: Graph, tensors: set[int]) -> None:
    """Refuse int4 `tensors` that are anything but weights of kinds that take them."""
    for op in graph.operators:
        for position, index in enumerate(op.inputs):
            if index in tensors and (op.kind not in INT4_WEIGHTS or position != 1):
                raise ModelError(
                    f"operator {op.index} ({op.kind}) reads tensor "
                    f"{graph.tensors[index].name!r}, which is INT4: only the weights of "
                    f"{', '.join(sorted(INT4_WEIGHTS))} may be"
                )


def check_order(graph: Graph) -> None:
    """Refuse tensors that are read before they are written, or written twice."""
    known = {t.index for t in graph.tensors if t.is_constant} | set(graph.inputs)
    written: set[int] = set(graph.inputs)
    for op in graph.operators:
        states = {op.inputs[i] for i in STATES.get(op.kind, ()) if i < len(op.inputs)}
        for index in op.present_inputs:
            if index not in known and not (index in states and graph.tensors[index].is_variable):
                raise ModelError(
                    f"operator {op.index} ({op.kind}) reads tensor "
                    f"{graph.tensors[index].name!r} before anything writes it"
                )
        for index in op.outputs:
            tensor = graph.tensors[index]
            if index in written or tensor.is_constant or tensor.is_variable:
                raise ModelError(
                    f"operator {op.index} ({op.kind}) writes tensor {tensor.name!r}, "
                    "which already has a value"
                )
        written.update(op.outputs)
        known.update(op.outputs)
    for index in graph.outputs:
        if index not in known:
            raise ModelError(f"nothing writes the output {graph.tensors[index].name!r}")
