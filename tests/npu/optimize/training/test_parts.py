"""The parts of training: folding, constraints, schedules, automata, rounding, conversion."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from npu.errors import OptimizeError
from npu.optimize.choices import Start
from npu.optimize.data import Split
from npu.optimize.granularity import Groups
from npu.optimize.training import environment
from npu.optimize.training.automata import AutomataPruner, learnt
from npu.optimize.training.clustering import Codes, channel_scales, clustered_codes, share_values
from npu.optimize.training.constraints import Mask, arm
from npu.optimize.training.convert import convert, put_codes
from npu.optimize.training.fake_quant import rounded_twin
from npu.optimize.training.fit import FitPlan, evaluate, fit, scores, soft_targets
from npu.optimize.training.layer_bits import choose_layers, cross_entropy, int4_codes
from npu.optimize.training.models import (
    as_functional,
    check_classifier,
    fold_batchnorm,
    from_rows,
    load_keras,
    to_rows,
    weighted_layers,
)
from npu.optimize.training.schedule import RAMP, cubic, stages
from tests.npu.optimize.training.small_network import digits, small_model


def loaded(trained: Path) -> Any:
    return load_keras(trained)


def test_folded_normalization_changes_nothing(trained: Path) -> None:
    model, data = loaded(trained), digits()
    folded = fold_batchnorm(model)
    assert not [w for w in folded.weights if "moving" in w.name]
    np.testing.assert_allclose(scores(folded, data.test), scores(model, data.test), atol=1e-4)


def test_rows_are_the_order_of_the_file() -> None:
    kernel = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    rows = to_rows(kernel)
    assert rows.shape == (5, 6, 4)
    assert np.array_equal(rows.reshape(5, 2, 3, 4), kernel.transpose(3, 0, 1, 2))
    assert np.array_equal(from_rows(rows, kernel.shape), kernel)


def trained_step(model: Any) -> None:
    data = digits()
    fit(model, data, FitPlan(stage="s", epochs=1, batch=64, rate=1e-3, seed=0))


def test_masked_weights_stay_zero(trained: Path) -> None:
    model = loaded(trained)
    layer = weighted_layers(model)[1]
    mask = np.random.default_rng(0).random(layer.kernel.shape) < 0.5
    before = np.asarray(layer.kernel)
    arm(layer, Mask(mask))
    trained_step(model)
    after = np.asarray(layer.kernel)
    assert np.array_equal(after != 0, mask & (before != 0))
    assert not np.array_equal(after[mask], before[mask])


@pytest.mark.parametrize("start", list(Start))
def test_shared_values_are_trained_as_such(start: Start, trained: Path) -> None:
    model = fold_batchnorm(loaded(trained))
    layer = weighted_layers(model)[1]
    zeros = np.random.default_rng(0).random(layer.kernel.shape) < 0.5
    layer.kernel.assign(np.where(zeros, 0, np.asarray(layer.kernel)))
    constraint = share_values(layer, 8, start=start)
    before = np.unique(np.rint(np.asarray(layer.kernel) / constraint.scales * 1e3))
    trained_step(model)
    values = np.asarray(layer.kernel) / constraint.scales
    assert len(np.unique(np.rint(values * 1e3))) <= 8
    assert not np.array_equal(np.unique(np.rint(values * 1e3)), before)
    assert np.array_equal(values == 0, zeros)
    codes = clustered_codes(layer)
    assert len(np.unique(codes.codes)) <= 8
    assert np.array_equal(codes.codes == 0, to_rows(zeros))
    assert np.abs(codes.codes - to_rows(values)).max() <= 1


def test_schedules() -> None:
    grow = cubic(0.8, 100)
    assert [grow(step) for step in (round(100 * RAMP), 100)] == pytest.approx([0.8, 0.8])
    assert grow(30) == pytest.approx(0.8 * (1 - 0.5**3))
    steps = stages(0.8, 90, 3)
    assert steps(1) == steps(30) == pytest.approx(1 - 0.2 ** (1 / 3))
    assert steps(31) == pytest.approx(1 - 0.2 ** (2 / 3))
    assert steps(90) == pytest.approx(0.8)


def test_automata_follow_the_environment() -> None:
    p = np.full(4, 0.5)
    weak, answer = np.array([True, True, False, False]), np.array([True, False, True, False])
    np.testing.assert_allclose(learnt(p, weak, answer), [0.55, 0.475, 0.525, 0.45])
    rng = np.random.default_rng(1)
    often = np.array([0.9, 0.6, 0.1])
    p = np.full(3, 0.5)
    for _ in range(300):
        p = learnt(p, rng.random(3) < p, rng.random(3) < often)
    assert p[0] > p[1] > p[2]


def test_automata_find_groups_without_effect(trained: Path) -> None:
    model = loaded(trained)
    layer = model.get_layer("wide")
    data = digits()
    # whatever goes into outputs 0 to 15 has no effect on the classes
    classes = model.get_layer("classes")
    kernel = np.asarray(classes.kernel).copy()
    kernel[:16] = 0
    classes.kernel.assign(kernel)
    groups = Groups(4, 8)
    pruner = AutomataPruner(
        [layer], groups, cubic(0.5, 10), 10, ratio=0.5, data=data.train, batch=64, seed=3
    )
    pruner.set_model(model)
    for step in range(30):
        pruner.learn(np.random.default_rng(step))
    weak = np.asarray(pruner.weak[0])[:, 0, :]
    assert weak[:4].mean() > 0.8 > 0.45 > weak[4:].mean()


def test_rounded_twin_predicts_the_integer_network(trained: Path) -> None:
    model, data = fold_batchnorm(loaded(trained)), digits()
    twin = rounded_twin(model, data.train.x)
    plain, rounded = scores(model, data.test), scores(twin, data.test)
    assert not np.array_equal(plain, rounded)
    assert np.abs(plain - rounded).max() < 0.1 * np.abs(plain).max()
    coarse = rounded_twin(model, data.train.x, limits={"middle": 2, "wide": 2})
    worse = np.abs(scores(coarse, data.test) - plain).mean()
    assert worse > 3 * np.abs(rounded - plain).mean()


def test_scales_of_channels() -> None:
    kernel = np.array([[1.0, 0.0], [-2.54, 0.0]], np.float32)
    np.testing.assert_allclose(channel_scales(kernel), [0.02, 1.0])


def test_four_bits() -> None:
    layer = keras.layers.Dense(3)
    layer.build((None, 40))
    for whole in (True, False):
        codes = int4_codes(layer, whole=whole)
        assert np.abs(codes.codes).max() == 7
        assert (len(np.unique(codes.scales)) == 1) == whole
        real = codes.codes[:, 0].T * codes.scales
        assert np.abs(real - np.asarray(layer.kernel)).max() <= codes.scales.max() / 2 * 1.001


def test_cross_entropy() -> None:
    values = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]], np.float32))
    expected = -(np.log(0.25) + np.log(0.8)) / 2
    assert cross_entropy(values, np.array([2, 1])) == pytest.approx(expected)


def test_layers_that_pay_come_first() -> None:
    saved = {"a": (100, 10), "b": (10, 10), "c": (0, 0), "d": (500, 10)}

    def cost(names: Any) -> tuple[int, int]:
        return 1000 - sum(saved[n][0] for n in names), 1000 - sum(saved[n][1] for n in names)

    assert choose_layers("abcd", [0.1, 0.1, 0.0, 0.3], cost, 0.45) == ["a", "d"]
    assert choose_layers("abcd", [0.1, 0.1, 0.0, 0.3], cost, 0.25) == ["a", "b"]
    assert choose_layers("abcd", [0.1, 0.1, 0.0, 0.3], cost, 0.0) == []


def test_codes_without_a_place_are_refused(trained: Path) -> None:
    model, data = fold_batchnorm(loaded(trained)), digits()
    content = convert(model, data.train.x)
    layer = model.get_layer("wide")
    codes = {"wide": Codes(to_rows(np.zeros(layer.kernel.shape, np.int8)), np.ones(32, np.float32))}
    layer.kernel.assign(-np.asarray(layer.kernel))
    with pytest.raises(OptimizeError, match="the converter changed layer 'wide'"):
        put_codes(content, model, codes)


def test_a_layer_that_cannot_be_converted() -> None:
    inputs = keras.Input((4, 4, 1))
    y = keras.layers.Flatten()(keras.ops.fft2((inputs[..., 0], inputs[..., 0]))[0])
    model = keras.Model(inputs, keras.layers.Dense(3)(y))
    with pytest.raises(OptimizeError, match="TensorFlow's converter refuses the model"):
        convert(model, np.zeros((4, 4, 4, 1), np.float32))


def test_models_that_are_no_classifiers(tmp_path: Path) -> None:
    a, b = keras.Input((4,)), keras.Input((4,))
    with pytest.raises(OptimizeError, match="2 inputs and 1 outputs, one of each expected"):
        check_classifier(keras.Model([a, b], keras.layers.Add()([a, b])))
    x = keras.Input((None, 4))
    with pytest.raises(OptimizeError, match="has no fixed shape"):
        check_classifier(keras.Model(x, keras.layers.GlobalAveragePooling1D()(x)))
    x = keras.Input((3, 4))
    with pytest.raises(OptimizeError, match=r"\[batch, classes\] expected"):
        check_classifier(keras.Model(x, keras.layers.Dense(2)(x)))
    with pytest.raises(OptimizeError, match="no such file"):
        load_keras(tmp_path / "none.keras")
    (tmp_path / "bad.keras").write_bytes(b"no archive")
    with pytest.raises(OptimizeError, match="cannot read model"):
        load_keras(tmp_path / "bad.keras")


def test_a_damaged_checkpoint_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "c.npz"
    path.write_bytes(b"no archive")
    plan = FitPlan(stage="s", epochs=1, batch=64, rate=1e-3, seed=0, checkpoint=path, key="k")
    model = as_functional(small_model())
    reached = fit(model, digits(), plan)
    assert "is not used" in caplog.text
    # now it is one, of another key
    again = as_functional(small_model())
    other = FitPlan(stage="s", epochs=1, batch=64, rate=1e-3, seed=0, checkpoint=path, key="l")
    assert fit(again, digits(), other) == pytest.approx(reached)
    assert evaluate(again, digits().validation) == pytest.approx(reached)


def test_scores_of_a_part() -> None:
    model, data = as_functional(small_model()), digits()
    one = Split(data.test.x[:1], data.test.y[:1])
    np.testing.assert_allclose(scores(model, one), scores(model, data.test)[:1], rtol=1e-4)


def test_learning_from_the_network_as_it_came(trained: Path) -> None:
    model, data = loaded(trained), digits()
    labels = np.eye(10)[data.train.y]
    np.testing.assert_array_equal(soft_targets(model, data.train, 0.0), labels)
    said = soft_targets(model, data.train, 1.0)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(np.argmax(said, -1), np.argmax(scores(model, data.train), -1))
    half = soft_targets(model, data.train, 0.5)
    np.testing.assert_allclose(half, (said + labels) / 2, atol=1e-6)
    # what is learnt are the targets, not the labels
    turned = np.roll(labels, 1, axis=1).astype(np.float32)
    plan = FitPlan(stage="s", epochs=3, batch=64, rate=2e-3, seed=0, targets=turned)
    assert fit(as_functional(small_model()), data, plan) < 0.1


def test_without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(OptimizeError, match=r"needs TensorFlow: pip install -e '.\[train\]'"):
        environment.require_tensorflow()
