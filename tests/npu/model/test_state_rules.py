"""Models whose variables contradict themselves are refused in one line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from npu.errors import ModelError, UnsupportedOperatorError
from npu.model.tflite_reader import read_model_bytes
from npu.reference.network import PreparedNetwork
from npu.reference.state import State
from tests.npu.model.edited import edited, refusal
from tests.npu.reference.test_state import NETWORKS, built
from tests.support.random_layers import random_input
from tests.support.recurrent import assign_variable, random_lstm, read_variable
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import Tensor

Edit = Callable[[Any], None]


def variables(use: Callable[[ModelBuilder, Tensor, Tensor], None]) -> bytes:
    """A model with an input and a handle, that does with them what `use` does."""
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5, name="x")
    use(m, x, m.handle("v"))
    return m.build([m.relu(x, scale=0.5, zero_point=0)])


def assigned_in_two_shapes(m: ModelBuilder, x: Tensor, handle: Tensor) -> None:
    assign_variable(m, handle, x)
    assign_variable(m, handle, m.constant(np.zeros(3, np.int8), scale=0.5))


def read_in_another_type(m: ModelBuilder, x: Tensor, handle: Tensor) -> None:
    assign_variable(m, handle, x)
    m.operator("READ_VARIABLE", [handle], [m.tensor(x.shape, np.int16, scale=0.5)])


def never_assigned(m: ModelBuilder, x: Tensor, handle: Tensor) -> None:
    read_variable(m, handle, x, x.shape)


def not_a_handle(m: ModelBuilder, x: Tensor, handle: Tensor) -> None:
    assign_variable(m, x, x)


def call_of_itself(m: ModelBuilder, x: Tensor, handle: Tensor) -> None:
    called = m.initializer()
    called.operator("CALL_ONCE", [], [], {"initSubgraphIndex": 1}, options_type="CallOnceOptions")


def call_with_an_input(m: ModelBuilder, x: Tensor, handle: Tensor) -> None:
    m.initializer().input((1,), scale=0.5)


def call_of_main(m: ModelBuilder, x: Tensor, handle: Tensor) -> None:
    m.operator("CALL_ONCE", [], [], {"initSubgraphIndex": 0}, options_type="CallOnceOptions")


def handle_of_another_type(m: ModelBuilder, x: Tensor, handle: Tensor) -> None:
    y = m.tensor((), np.int32)
    m.operator("VAR_HANDLE", [], [y], {"sharedName": "w"}, options_type="VarHandleOptions")


VARIABLES = {
    "two shapes": (assigned_in_two_shapes, r"variable 'v' is int8 of shape [3] here, int8 of sha"),
    "another type": (read_in_another_type, "variable 'v' is int16 of shape [1, 4] here, int8 of"),
    "never assigned": (
        never_assigned,
        "operator 1 (READ_VARIABLE): variable 'v' is never assigned",
    ),
    "not a handle": (not_a_handle, "(ASSIGN_VARIABLE): input 'x' is not written by VAR_HANDLE"),
    "loop": (call_of_itself, "(CALL_ONCE) calls subgraph 1: over 16 calls within each other"),
    "input": (
        call_with_an_input,
        "operator 1 (CALL_ONCE) passes nothing to or from subgraph 1, which has int8 [1]",
    ),
    "main": (call_of_main, "operator 1 (CALL_ONCE) calls subgraph 0, one from 1 to 0 expected"),
    "no resource": (
        handle_of_another_type,
        "operator 1 (VAR_HANDLE): output 't2' is int32, resour",
    ),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_contradicting_variables_are_refused(name: str) -> None:
    use, message = VARIABLES[name]
    assert message in refusal(variables(use))


def test_a_handle_that_leaves_the_network_is_refused() -> None:
    m = ModelBuilder()
    m.input((1, 4), scale=0.5)
    handle = m.handle("v")
    message = f"tensor {handle.name!r} is a resource that VAR_HANDLE does not make here, or that"
    with pytest.raises(ModelError, match=message):
        read_model_bytes(m.build([handle]), "m")


def edited_lstm(edit: Edit) -> bytes:
    """A model of one LSTM, with an edit of its flatbuffer's objects."""
    m = ModelBuilder()
    rng = np.random.default_rng(0)
    random_lstm(m, rng, random_input(m, rng, (1, 3, 5)), 4)
    return edited(m.build(), edit)


def input_of(position: int, index: int) -> Edit:
    def edit(model: Any) -> None:
        operator = model.subgraphs[0].operators[0]
        operator.inputs = [index if i == position else n for i, n in enumerate(operator.inputs)]

    return edit


def option(name: str, value: Any) -> Edit:
    def edit(model: Any) -> None:
        setattr(model.subgraphs[0].operators[0].builtinOptions, name, value)

    return edit


def shape_of(position: int, shape: list[int]) -> Edit:
    def edit(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors[graph.operators[0].inputs[position]].shape = shape

    return edit


def constant_state(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].inputs[18]].isVariable = False


LSTMS = {
    "left out": (input_of(3, -1), "operator 0 (UNIDIRECTIONAL_SEQUENCE_LSTM): input 3 is left out"),
    "peephole": (input_of(9, 0), "input 9 is given: peepholes, projection and layer normalization"),
    "layer norm": (input_of(20, 0), "input 20 is given"),
    "weights": (input_of(2, 7), "is int8 of shape [4, 4], int8 of shape [4, 5] expected"),
    "bias": (input_of(12, 7), "is int8 of shape [4, 4], int32 of shape [4] expected"),
    "state": (shape_of(18, [1, 5]), "is int8 of shape [1, 5], int8 of shape [1, 4] expected"),
    "cell": (input_of(19, 1), "int16 of shape [1, 4] expected"),
    "no variable": (constant_state, "reads tensor 't1' before anything writes it"),
    "activation": (option("fusedActivationFunction", 1), "activation is RELU, only TANH is suppor"),
    "clip": (option("cellClip", -1.0), "cell_clip is -1.0, a finite number from 0 expected"),
    "infinite clip": (option("cellClip", float("inf")), "cell_clip is inf"),
}


@pytest.mark.parametrize("name", LSTMS)
def test_malformed_lstms_are_refused(name: str) -> None:
    edit, message = LSTMS[name]
    assert message in refusal(edited_lstm(edit))


def test_a_handle_cannot_be_computed_with() -> None:
    m = ModelBuilder()
    m.input((1, 4), scale=0.5)
    m.operator("RELU", [m.handle("v")], [m.tensor((), scale=0.5)])
    graph = read_model_bytes(m.build(), "m")
    with pytest.raises(UnsupportedOperatorError, match=r"\(RELU\) has no kernel from resource to"):
        PreparedNetwork(graph)


def test_state_refuses_what_is_not_declared() -> None:
    with pytest.raises(ValueError, match="variable 'v' is never assigned"):
        State().read("v")
    _, graph = built(NETWORKS["read_again"])
    state = State()
    state.declare(graph)
    with pytest.raises(ValueError, match=r"'box/last' is int8 of shape \[1, 4\], int16 of shape"):
        state.assign("box/last", np.zeros((1, 4), np.int16))


@pytest.mark.parametrize("seed", range(3), ids="seed{}".format)
@pytest.mark.parametrize("name", NETWORKS)
def test_flipped_bytes_never_crash(name: str, seed: int) -> None:
    """Corruption is refused in one line, or harmless: nothing but `ModelError` ever escapes."""
    rng = np.random.default_rng(seed)
    data, _ = built(NETWORKS[name])
    messages = []
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            broken[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        try:
            read_model_bytes(bytes(broken), "m")
        except ModelError as error:
            messages.append(str(error))
    assert len(messages) > 5
    assert not [m for m in messages if "\n" in m]
