"""What of the file counts as a tensor's value."""

from typing import Any

import numpy as np
import pytest

from npu.model.tflite_reader import read_model_bytes
from npu.reference.network import run_reference
from tests.npu.model.edited import edited
from tests.npu.small_model import classifier
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflm import run_tflm


def lengthen(model: Any) -> None:
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data):
            buffer.data = np.append(buffer.data, np.arange(16, dtype=np.uint8))


def four_bits() -> bytes:
    m = ModelBuilder()
    x = m.input((1, 5), scale=0.1)
    w = m.int4_constant(np.arange(-7, 8, dtype=np.int8).reshape(3, 5), scale=0.5)
    m.operator("FULLY_CONNECTED", [x, w], [m.tensor((1, 3), scale=0.7)], {})
    return m.build()


@pytest.mark.parametrize("model", [classifier, four_bits])
def test_what_a_buffer_holds_beyond_its_tensor_is_ignored(model: Any) -> None:
    """As TFLM does, which takes the tensor's bytes from the buffer's beginning."""
    longer = edited(model(), lengthen)
    graph = read_model_bytes(longer, "m")
    shape = graph.tensors[graph.inputs[0]].shape
    given = np.random.default_rng(0).integers(-128, 128, shape, np.int8)
    (expected,) = run_tflm(longer, [given])
    np.testing.assert_array_equal(expected, run_tflm(model(), [given])[0])
    values = run_reference(graph, {graph.inputs[0]: given})
    np.testing.assert_array_equal(values[graph.outputs[0]], expected)
