"""Checks of what a graph's indices say, before anything follows them.

Each raises `ModelError` with the operator and the tensor.
"""

from npu.errors import ModelError
from npu.model.graph import Graph, Operator

# their int4 weights become int8 when the model is read
INT4_WEIGHTS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
CONTROL_FLOW = frozenset({"IF", "WHILE", "CALL", "STABLEHLO_WHILE"})
# the tensors that these read and write as their own state, by position
STATES = {"SVDF": (4,), "UNIDIRECTIONAL_SEQUENCE_LSTM": (18, 19)}


def refuse_control_flow(operators: tuple[Operator, ...], subgraphs: int) -> None:
    """Refuse operators that run other subgraphs than to initialize variables."""
    for op in operators:
        if op.kind in CONTROL_FLOW:
            raise ModelError(
                f"the model has {subgraphs} subgraphs and control flow (operator {op.index} is "
                f"{op.kind}), one subgraph without control flow expected"
            )


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
