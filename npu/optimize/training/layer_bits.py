"""Which layers get weights of four bits: by the cycles they save and the accuracy they cost."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.optimize.data import Split
from npu.optimize.training.clustering import Codes
from npu.optimize.training.fake_quant import INT4_LIMIT
from npu.optimize.training.fit import scores
from npu.optimize.training.models import from_rows, to_rows

LOSS_BUDGET = 0.1
"""Share by which the validation loss may grow, added over all layers, before any fine-tuning."""

Cost = Callable[[Sequence[str]], tuple[int, int]]
"""Cycles, and bytes of weights read, of the network with these layers in four bits."""


def int4_codes(layer: Any, *, whole: bool) -> Codes:
    """A layer's weights in four bits, with one scale for each channel or, if `whole`, for all."""
    kernel = np.asarray(layer.kernel)
    rows = to_rows(kernel)
    largest = np.abs(rows).max(axis=(1, 2))
    if whole:
        largest = np.full_like(largest, largest.max())
    scales = np.where(largest > 0, largest / INT4_LIMIT, 1).astype(np.float32)
    codes = np.clip(np.rint(rows / scales[:, None, None]), -INT4_LIMIT, INT4_LIMIT)
    return Codes(codes.astype(np.int8), scales)


def loss_of_rounding(model: Any, layer: Any, data: Split, *, whole: bool) -> float:
    """Validation cross-entropy with this layer alone in four bits, without training."""
    kernel = np.asarray(layer.kernel)
    codes = int4_codes(layer, whole=whole)
    rounded = codes.codes * codes.scales[:, None, None]
    layer.kernel.assign(from_rows(rounded.astype(np.float32), kernel.shape))
    loss = cross_entropy(scores(model, data), data.y)
    layer.kernel.assign(kernel)
    return loss


def cross_entropy(values: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> float:
    """Mean of `-log softmax(values)[label]`."""
    shifted = values.astype(np.float64) - values.max(axis=-1, keepdims=True)
    sums = np.log(np.exp(shifted).sum(axis=-1))
    return float(np.mean(sums - shifted[np.arange(len(labels)), labels]))


def choose_layers(
    candidates: Sequence[str], increases: Sequence[float], cost: Cost, budget: float
) -> list[str]:
    """The layers for four bits: those that save most for each unit of loss, within a budget.

    What a layer saves is cycles, and bytes of weights where no cycles differ. A layer that saves
    neither stays in eight bits.

    Parameters
    ----------
    candidates : layers by name. increases : of the loss, for each. budget : their sum at most.
    """
    cycles, read = cost([])
    gains = []
    for name, increase in zip(candidates, increases, strict=True):
        less_cycles, less_read = cost([name])
        gain = (cycles - less_cycles, read - less_read)
        if max(gain) > 0:
            # cycles first: a byte saves at most a fraction of one
            worth = max(gain[0], 0) + max(gain[1], 0) / (1 << 20)
            gains.append((worth / max(increase, 1e-9), name, max(increase, 0.0)))
    chosen, spent = [], 0.0
    for _, name, increase in sorted(gains, reverse=True):
        if spent + increase <= budget:
            chosen.append(name)
            spent += increase
    return [name for name in candidates if name in chosen]
