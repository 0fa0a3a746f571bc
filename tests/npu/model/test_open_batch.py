"""Files that store one map for all that SPACE_TO_BATCH_ND deals out."""

import numpy as np
import pytest

from npu.errors import ModelError
from npu.golden import compare, run_golden
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from npu.report.tables import repair_lines
from rtl.config import PRESETS
from tests.npu.dilation_models import dealt, temporal
from tests.npu.operator_models import integers
from tests.support.random_layers import random_conv2d, random_input
from tests.support.tflite_builder import ModelBuilder


@pytest.mark.parametrize("axis", [1, 2])
def test_shapes_are_those_of_the_file_with_all_maps(axis: int) -> None:
    whole = read_model_bytes(temporal(3, axis), "test")
    open_ = read_model_bytes(temporal(3, axis, batch=1), "test")
    assert [t.shape for t in open_.tensors] == [t.shape for t in whole.tensors]
    kinds = [open_.producer(t).kind for t in open_.repaired]  # type: ignore[union-attr]
    assert len(kinds) == 8
    assert {"SPACE_TO_BATCH_ND", "EXPAND_DIMS", "RESHAPE"} < set(kinds)
    assert not whole.repaired
    assert whole.file == temporal(3, axis)


def test_the_repaired_file_says_the_same() -> None:
    graph = read_model_bytes(temporal(4, batch=1), "test")
    again = read_model_bytes(graph.file, "again")
    assert not again.repaired
    assert [t.shape for t in again.tensors] == [t.shape for t in graph.tensors]
    assert graph.file[: len(temporal(4))] != temporal(4)


def test_tflm_runs_the_repaired_file_as_the_npu_does() -> None:
    graph = read_model_bytes(temporal(5, batch=1), "test")
    x = np.random.default_rng(5).integers(-128, 128, graph.tensors[graph.inputs[0]].shape)
    inputs = {graph.inputs[0]: x.astype(np.int8)}
    golden = run_golden(graph.file, graph, inputs)
    result = NetworkRunner(graph, config=PRESETS["npu64"], backend="functional").run(inputs)
    assert all(layer.placed == "NPU" for layer in result.layers)
    assert compare(graph, golden, {**result.values, **result.outputs}).bit_exact


def test_the_user_is_told() -> None:
    (line,) = repair_lines(read_model_bytes(temporal(6, batch=1), "test"))
    assert "left the batch open" in line
    assert "and 4 more are corrected" in line
    assert not repair_lines(read_model_bytes(temporal(6), "test"))


def test_what_does_not_follow_is_refused() -> None:
    """The maps are an output of the network: nothing says how many were meant."""
    m = ModelBuilder()
    x = random_input(m, np.random.default_rng(7), (1, 8, 8, 4))
    dealt(m, x, (2, 2), ((0, 0), (0, 0)), batch=1)
    with pytest.raises(ModelError, match="4 maps are stored as 1"):
        read_model_bytes(m.build(), "test")


def test_another_shape_behind_is_refused() -> None:
    rng = np.random.default_rng(8)
    m = ModelBuilder()
    x = random_input(m, rng, (1, 8, 8, 4))
    y = random_conv2d(m, rng, dealt(m, x, (2, 2), ((0, 0), (0, 0)), batch=1), 4)
    z = m.tensor((1, 8, 8, 4), scale=y.scale, zero_point=y.zero_point)
    operands = [y, integers(m, 2, 2), integers(m, (0, 0), (0, 1))]
    m.operator("BATCH_TO_SPACE_ND", operands, [z], {}, options_type="BatchToSpaceNDOptions")
    with pytest.raises(ModelError, match="4 maps are stored as 1"):
        read_model_bytes(m.build(), "test")
