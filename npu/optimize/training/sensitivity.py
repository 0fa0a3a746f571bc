"""The scan of a Keras model's layers; see `npu.optimize.sensitivity`."""

from typing import Any

import numpy as np

from npu.optimize.data import Split
from npu.optimize.granularity import Groups, keep_mask
from npu.optimize.sensitivity import RATIOS, Log, Rows, tell
from npu.optimize.training.fit import evaluate
from npu.optimize.training.models import from_rows, to_rows, weighted_layers


def scan_model(model: Any, groups: Groups, validation: Split, log: Log | None = None) -> Rows:
    """Scan all prunable layers in floating point, by magnitude; the model is left as it was."""
    rows: Rows = []
    for layer in weighted_layers(model):
        kernel = np.asarray(layer.kernel)
        weights = to_rows(kernel)
        for ratio in RATIOS:
            keep = groups.spread(keep_mask(groups.energies(weights), ratio), weights.shape)
            layer.kernel.assign(from_rows(weights * keep, kernel.shape))
            reached = evaluate(model, validation)
            rows.append({"layer": layer.name, "ratio": ratio, "accuracy": reached})
        layer.kernel.assign(kernel)
        tell(rows, log)
    return rows
