"""Formats of pruned weights that the hardware does not have, in numbers: zero-run codes and 2:4."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from tests.bench.tables import new_table, percent
from tests.support.compressed_models import Change, Weights, changed, pruned
from tests.support.shared_models import FOLDER

RUN_BITS = 4
"""Bits that count the zeros in front of a weight, as in Deep Compression (Han et al. 2016)."""

GROUP, KEPT = 4, 2
"""Of `GROUP` neighbours, `KEPT` are there: 2:4, as NVIDIA's Ampere has it."""

CASES: tuple[tuple[str, str, Change | None], ...] = (
    ("mlperf_vww_mbv1_96", "as published", None),
    *(
        (network, f"{share:.0%} of weights zero", partial(pruned, share=share))
        for network in ("mlperf_ic_resnet8", "mlperf_ad_toycar")
        for share in (0.5, 0.8)
    ),
)


def mask_bytes(weights: NDArray[np.int8]) -> int:
    """With a bit for each weight."""
    return weights.size // 8 + int(np.count_nonzero(weights))


def run_bytes(weights: NDArray[np.int8]) -> int:
    """With the number of zeros in front of each; longer runs take a zero of their own."""
    places = np.flatnonzero(weights.reshape(-1))
    runs = np.diff(places, prepend=-1) - 1
    codes = len(places) + int((runs >> RUN_BITS).sum())
    return codes + -(-codes * RUN_BITS // 8)


def fitting_share(weights: NDArray[np.int8]) -> float:
    """Groups of neighbouring inputs that are 2:4 already."""
    width = weights.shape[-1] // GROUP * GROUP
    groups = weights[..., :width].reshape(-1, GROUP)
    return float((np.count_nonzero(groups, axis=1) <= KEPT).mean()) if len(groups) else 0.0


def measure() -> Iterator[dict[str, Any]]:
    """A record for each network that is there."""
    for network, what, change in CASES:
        path = FOLDER / f"{network}.tflite"
        if not path.is_file():
            continue
        found: list[Weights] = []

        def collect(weights: Weights, found: list[Weights] = found) -> Weights:
            found.append(weights.copy())
            return weights

        model = path.read_bytes()
        changed(model if change is None else changed(model, change), collect)
        size = sum(weights.size for weights in found)
        # 2:4: a kept weight takes its byte and two bits that say which of four it is
        yield {
            "network": network,
            "weights": what,
            "mask": sum(map(mask_bytes, found)) / size,
            "zero_run": sum(map(run_bytes, found)) / size,
            "two_of_four": KEPT * (8 + 2) / (GROUP * 8),
            "fits": sum(fitting_share(weights) * weights.size for weights in found) / size,
        }


def run(console: Console, *, quick: bool) -> Sequence[dict[str, Any]]:
    """Print the table; it takes a second either way."""
    del quick
    table = new_table(
        "bytes of convolutions' and products' weights, of dense",
        *("network", "weights", "bit mask (ours)", "zero runs", "2:4", "groups that are 2:4"),
    )
    records = list(measure())
    for r in records:
        shares = (r["mask"], r["zero_run"], r["two_of_four"], r["fits"])
        table.add_row(r["network"], r["weights"], *map(percent, shares))
    console.print(table)
    return records
