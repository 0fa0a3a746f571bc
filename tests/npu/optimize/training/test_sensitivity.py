"""The scan of a Keras model's layers."""

from pathlib import Path

import numpy as np

from npu.optimize.granularity import Groups
from npu.optimize.sensitivity import RATIOS
from npu.optimize.training.fit import evaluate
from npu.optimize.training.models import load_keras
from npu.optimize.training.sensitivity import scan_model
from tests.npu.optimize.training.small_network import digits


def test_a_layer_without_effect_costs_nothing(trained: Path) -> None:
    model, data = load_keras(trained), digits()
    layer = model.get_layer("wide")
    kernel = np.asarray(layer.kernel).copy()
    kernel[:, :24] *= 1e-6
    layer.kernel.assign(kernel)
    before = [np.asarray(weight) for weight in model.weights]
    rows = scan_model(model, Groups(4, 8), data.validation)
    names = ["conv", "middle", "wide", "classes"]
    assert [(row["layer"], row["ratio"]) for row in rows] == [(n, r) for n in names for r in RATIOS]
    dense = evaluate(model, data.validation)
    reached = {(row["layer"], row["ratio"]): row["accuracy"] for row in rows}
    assert reached["wide", 0.5] == reached["wide", 0.75] == dense
    assert reached["middle", 0.9] < dense - 0.05
    for weight, old in zip(model.weights, before, strict=True):
        assert np.array_equal(np.asarray(weight), old)
