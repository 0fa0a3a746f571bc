"""Output shapes of variables and of UNIDIRECTIONAL_SEQUENCE_LSTM."""

from npu.model.graph import ABSENT, RESOURCE, Graph, Operator
from npu.model.options import LstmOptions
from npu.model.shape_rules.common import Shape, input_tensor, operator_error
from npu.model.variables import variable_name

# positions of what an LSTM must have: the input, weights, biases, and two variables
LSTM_REQUIRED = (0, *range(1, 9), *range(12, 16), 18, 19)
LSTM_BIASES = {"int8": "int32", "int16": "int64"}


def nothing(graph: Graph, op: Operator) -> list[Shape]:
    """CALL_ONCE."""
    return []


def var_handle(graph: Graph, op: Operator) -> Shape:
    """VAR_HANDLE."""
    handle = graph.output_tensor(op)
    if handle.dtype != RESOURCE:
        raise operator_error(op, f"output {handle.name!r} is {handle.type_name}, resource expected")
    return handle.shape


def read_variable(graph: Graph, op: Operator) -> Shape:
    """READ_VARIABLE: the output says the shape."""
    _check_handle(graph, op)
    return graph.output_tensor(op).shape


def assign_variable(graph: Graph, op: Operator) -> list[Shape]:
    """ASSIGN_VARIABLE."""
    _check_handle(graph, op)
    return []


def _check_handle(graph: Graph, op: Operator) -> None:
    handle, producer = input_tensor(graph, op, 0), graph.producer(op.inputs[0])
    if producer is None or producer.kind != "VAR_HANDLE":
        raise operator_error(op, f"input {handle.name!r} is not written by VAR_HANDLE")


def check_variables(graph: Graph) -> None:
    """Refuse a graph whose variables have two types or shapes, or are read but never assigned.

    Raises `ModelError`, naming the operator.
    """
    known: dict[str, tuple[str, Shape]] = {}
    uses = [
        (each, op)
        for kind in ("ASSIGN_VARIABLE", "READ_VARIABLE")
        for each in graph.with_subgraphs()
        for op in each.operators
        if op.kind == kind
    ]
    for each, op in uses:
        name = variable_name(each, op.inputs[0])
        value = each.tensors[op.inputs[1] if op.kind == "ASSIGN_VARIABLE" else op.outputs[0]]
        given = value.type_name, value.shape
        if op.kind == "READ_VARIABLE" and name not in known:
            raise operator_error(op, f"variable {name!r} is never assigned")
        expected = known.setdefault(name, given)
        if given != expected:
            raise operator_error(
                op,
                f"variable {name!r} is {given[0]} of shape {list(given[1])} here, {expected[0]} of "
                f"shape {list(expected[1])} elsewhere",
            )


def lstm(graph: Graph, op: Operator) -> Shape:
    """UNIDIRECTIONAL_SEQUENCE_LSTM."""
    for position, index in enumerate(op.inputs):
        if position in LSTM_REQUIRED and index == ABSENT:
            raise operator_error(op, f"input {position} is left out")
        if position not in LSTM_REQUIRED and index != ABSENT:
            raise operator_error(
                op,
                f"input {position} is given: peepholes, projection and layer normalization are not "
                "supported",
            )
    x, weights = input_tensor(graph, op, 0, 3), input_tensor(graph, op, 1, 2)
    first, second, inputs = x.shape
    units = weights.shape[0]
    batches = second if op.options_as(LstmOptions).time_major else first
    expected = {
        **dict.fromkeys(range(1, 5), ("int8", (units, inputs))),
        **dict.fromkeys(range(5, 9), ("int8", (units, units))),
        **dict.fromkeys(range(12, 16), (LSTM_BIASES.get(x.type_name, "int32"), (units,))),
        18: (x.type_name, (batches, units)),
        19: ("int16", (batches, units)),
    }
    for position, allowed in expected.items():
        tensor = input_tensor(graph, op, position)
        if (tensor.type_name, tensor.shape) != allowed:
            raise operator_error(
                op,
                f"input {tensor.name!r} is {tensor.type_name} of shape {list(tensor.shape)}, "
                f"{allowed[0]} of shape {list(allowed[1])} expected",
            )
        if tensor.is_variable != (position >= 18) or tensor.is_constant != (position < 18):
            kind = "a variable" if position >= 18 else "a constant"
            raise operator_error(op, f"input {tensor.name!r} is not {kind}")
    return first, second, units
