"""Pruning and clustering of the codes of a ready network, and its file written anew."""

import numpy as np
import pytest

from npu.errors import ModelError
from npu.model.tflite_reader import read_model_bytes
from npu.optimize.choices import Granularity
from npu.optimize.granularity import Groups, group_sparsity, keep_mask
from npu.optimize.post_training import cluster_codes, kept_dense, prune_codes
from npu.optimize.rewrite import NewTensor, pack_int4, replace_codes, replace_constants
from npu.optimize.weights import LayerWeights, find_weights, skipped
from rtl.config import PRESETS
from tests.npu.optimize.networks import two_convolutions
from tests.npu.small_model import classifier
from tests.support.tflm import run_tflm

CONFIG = PRESETS["npu256"]


def layer(codes: np.ndarray, scales: np.ndarray | None = None) -> LayerWeights:
    scales = np.ones(len(codes), np.float32) if scales is None else scales.astype(np.float32)
    return LayerWeights(0, "CONV_2D", 0, codes.astype(np.int8), scales, codes.shape)


def random_layer(seed: int, outputs: int = 10, taps: int = 9, inputs: int = 20) -> LayerWeights:
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (outputs, taps, inputs))
    return layer(codes, rng.uniform(0.001, 0.1, outputs))


def test_weights_are_found_in_order() -> None:
    graph = read_model_bytes(classifier(), "x")
    found = find_weights(graph)
    assert [w.kind for w in found] == ["CONV_2D", "FULLY_CONNECTED"]
    assert found[0].codes.shape == (6, 9, 3)
    assert found[1].codes.shape == (5, 1, 6)
    assert skipped(graph) == ["DEPTHWISE_CONV_2D 1"]
    np.testing.assert_allclose(found[1].real, found[1].codes * np.float32(0.01))


@pytest.mark.parametrize("granularity", list(Granularity))
@pytest.mark.parametrize("ratio", [0.25, 0.6])
def test_the_least_groups_become_zero(granularity: Granularity, ratio: float) -> None:
    before = random_layer(5)
    groups = Groups.of(granularity, CONFIG)
    after = prune_codes(before, groups, ratio)
    count = groups.energies(before.codes).size
    assert group_sparsity(after.codes, groups) == pytest.approx(round(ratio * count) / count)
    energies = groups.energies(before.real)
    gone = groups.sums((after.codes != 0).astype(np.float64)) == 0
    assert energies[gone].max() <= energies[~gone].min()
    kept = after.codes != 0
    assert np.array_equal(after.codes[kept], before.codes[kept])


def test_a_word_is_one_of_the_grid() -> None:
    groups = Groups.of(Granularity.WORD, CONFIG)
    energies = np.zeros((10, 9, 20))
    energies[4:8, 3, 8:16] = 1
    assert np.argwhere(groups.sums(energies)).tolist() == [[1, 3, 1]]
    assert groups.sums(energies)[1, 3, 1] == CONFIG.channels * CONFIG.lanes
    spread = groups.spread(groups.sums(energies) > 0, energies.shape)
    assert np.array_equal(spread, energies > 0)


def test_ties_are_broken_alike() -> None:
    assert keep_mask(np.ones((2, 2)), 0.5).tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("clusters", [2, 16])
def test_clusters_are_few_and_near(seed: int, clusters: int) -> None:
    before = random_layer(seed)
    after = cluster_codes(before, clusters)
    assert len(np.unique(after.codes)) <= clusters
    assert np.array_equal(after.codes == 0, before.codes == 0)
    # uniform codes: the error of k even steps of 254 / k, which k-means undercuts
    step = 254 / (clusters - 1)
    assert np.abs(after.codes.astype(int) - before.codes).max() <= step


def test_channels_with_large_scales_count_more() -> None:
    codes = np.array([[[10, 11, 50, 51]], [[20, 21, 60, 61]]])
    after = cluster_codes(layer(codes, np.array([1.0, 1e-6])), 2)
    assert set(np.unique(after.codes)) <= {10, 11, 50, 51}


def test_few_values_stay_as_they_are() -> None:
    codes = np.array([[[0, 3, -128 + 1, 3]]])
    assert np.array_equal(cluster_codes(layer(codes), 4).codes, codes)


def test_dense_layers_are_named() -> None:
    layers = find_weights(read_model_bytes(two_convolutions(), "x"))
    assert [w.operator for w in layers] == [0, 1, 4]
    assert kept_dense(layers, frozenset({"first", "last"})) == {0, 4}
    assert kept_dense(layers, frozenset({"1"})) == {1}
    assert kept_dense(layers, frozenset({"none"})) == frozenset()


def test_a_file_written_anew_is_the_same_network() -> None:
    content = two_convolutions()
    graph = read_model_bytes(content, "x")
    same = replace_codes(content, find_weights(graph))
    sample = np.random.default_rng(6).integers(-128, 128, (1, 8, 8, 3)).astype(np.int8)
    (before,) = run_tflm(content, [sample])
    (after,) = run_tflm(same, [sample])
    assert np.array_equal(before, after)


def test_new_codes_are_in_the_file() -> None:
    content = two_convolutions()
    changed = [w.with_codes(-w.codes) for w in find_weights(read_model_bytes(content, "x"))]
    read = find_weights(read_model_bytes(replace_codes(content, changed), "x"))
    for expected, found in zip(changed, read, strict=True):
        assert np.array_equal(expected.codes, found.codes)
        assert np.array_equal(expected.scales, found.scales)


def test_scales_and_type_can_change() -> None:
    content = two_convolutions()
    layers = find_weights(read_model_bytes(content, "x"))
    codes = np.clip(layers[1].codes, -8, 7).astype(np.int8)
    change = NewTensor(layers[1].tensor, pack_int4(codes), layers[1].scales * 16, 17)
    found = find_weights(read_model_bytes(replace_constants(content, [change]), "x"))[1]
    assert np.array_equal(found.codes, codes)
    np.testing.assert_allclose(found.scales, layers[1].scales * 16)


def test_a_corrupted_file_is_refused() -> None:
    with pytest.raises(ModelError, match="the model is corrupted"):
        replace_constants(b"\xff" * 64, [])
