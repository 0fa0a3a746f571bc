"""The graph's navigation and its count of useful MACs."""

from typing import Any

import numpy as np
import pytest

from npu.model.graph import Graph
from npu.model.tflite_reader import read_model, read_model_bytes
from tests.npu.operator_models import batch_matmul, transpose_conv
from tests.npu.small_model import classifier
from tests.support.shared_models import shared_model
from tests.support.tflite_builder import ModelBuilder
from tests.support.tflite_file import ModelFile

pytestmark = pytest.mark.quick


@pytest.fixture(name="graph")
def graph_fixture() -> Graph:
    return read_model_bytes(classifier(), "m")


def test_producers_and_consumers(graph: Graph) -> None:
    conv, depthwise, add, *_ = graph.operators
    assert graph.producer(graph.inputs[0]) is None
    assert graph.producer(conv.outputs[0]) is conv
    assert graph.consumers(graph.inputs[0]) == (conv,)
    assert graph.consumers(conv.outputs[0]) == (depthwise, add)
    assert graph.consumers(graph.outputs[0]) == ()


def test_operator_that_reads_a_tensor_twice_is_one_consumer() -> None:
    m = ModelBuilder()
    x = m.input((1, 4), scale=0.5)
    m.add(x, x, scale=1, zero_point=0)
    graph = read_model_bytes(m.build(), "m")
    assert len(graph.consumers(x.index)) == 1


def test_absent_bias() -> None:
    m = ModelFile()
    x, y = m.input((1, 4), scale=0.5), m.tensor((1, 3), scale=0.5)
    w = m.constant(np.ones((3, 4), np.int8), scale=0.1)
    m.operator("FULLY_CONNECTED", [x, w, None], [y], {}, options_type="FullyConnectedOptions")
    graph = read_model_bytes(m.build(), "m")
    (op,) = graph.operators
    assert op.inputs == (x.index, w.index, -1)
    assert op.present_inputs == op.inputs[:2]
    assert graph.input_tensor(op, 2) is None
    assert graph.input_tensor(op, 7) is None


def test_intermediates(graph: Graph) -> None:
    written = [op.outputs[0] for op in graph.operators]
    assert graph.intermediates() == tuple(written[:-1])
    assert graph.outputs == (written[-1],)


def test_macs_of_each_kind(graph: Graph) -> None:
    macs = {op.kind: graph.macs(op) for op in graph.operators}
    # SAME padding counts the whole kernel also at the border
    assert macs["CONV_2D"] == 9 * 8 * 6 * (3 * 3 * 3)
    assert macs["DEPTHWISE_CONV_2D"] == 9 * 8 * 6 * (3 * 3)
    assert macs["FULLY_CONNECTED"] == 5 * 6
    assert {macs[k] for k in ("ADD", "AVERAGE_POOL_2D", "RESHAPE", "SOFTMAX")} == {0}
    assert graph.total_macs == sum(macs.values())


def test_macs_of_a_grouped_convolution() -> None:
    m = ModelBuilder()
    x = m.input((1, 4, 4, 6), scale=0.5)
    w = np.ones((4, 3, 3, 3), np.int8)
    m.conv2d(x, w, None, weight_scales=0.1, scale=1, zero_point=0)
    graph = read_model_bytes(m.build(), "m")
    assert graph.total_macs == 4 * 4 * 4 * (3 * 3 * 3)


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("mlperf_ic_resnet8", 12_501_632),
        ("mlperf_vww_mbv1_96", 7_489_664),
        ("mlperf_kws_dscnn", 2_656_768),
        ("mlperf_ad_toycar", 264_192),
        ("tflm_mobilenet_v2_224", 300_774_272),
    ],
)
def test_published_mac_counts(name: str, macs: int) -> None:
    assert read_model(shared_model(name)).total_macs == macs


def test_macs_of_a_transposed_convolution() -> None:
    model = transpose_conv(np.random.default_rng(0), (1, 5, 6, 3), (4, 3, 2, 3))
    # each of the inputs meets the whole kernel
    assert read_model_bytes(model, "m").total_macs == 5 * 6 * 3 * (4 * 3 * 2)


@pytest.mark.parametrize("adjoint", [False, True])
def test_macs_of_a_matrix_product(adjoint: bool) -> None:
    shapes = ((3, 7, 5), (3, 8, 7)) if adjoint else ((3, 5, 7), (3, 7, 8))
    options: dict[str, Any] = {"adj_x": adjoint, "adj_y": adjoint}
    model = batch_matmul(np.random.default_rng(0), *shapes, **options)
    assert read_model_bytes(model, "m").total_macs == 3 * 5 * 7 * 8
