"""Fits sizes of blocks to their samples; needs SciPy, which estimating does not."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np

from npu.cost.blocks import BLOCKS, DEPTH_FEATURES, structure
from npu.cost.model import FITS, CostModel
from npu.cost.samples import Sample, Samples
from npu.errors import OutputError
from rtl.config import NpuConfig

FITTED = ("LUTeq", "FF")
DEPTH = "depth"
ERRORS = (*FITTED, "DSP", "block RAM")

Coefficients = dict[str, dict[str, dict[str, float]]]
"""By figure, block and feature; those that are 0 are left out."""


def fit(samples: Samples) -> Coefficients:
    """Coefficients of every block, none negative: a structure that is there takes room.

    Errors count in relation to the block's size, so that small configurations weigh as large ones.
    """
    found: Coefficients = {}
    for figure in (*FITTED, DEPTH):
        found[figure] = {}
        for block, kind in BLOCKS.items():
            own = [sample for sample in samples.blocks if sample.block == block]
            features = kind.features if figure != DEPTH else DEPTH_FEATURES
            sizes = [s.depth_ns if figure == DEPTH else s.figures[figure] for s in own]
            found[figure][block] = _fit_one(own, features, sizes)
    return found


def make_model(samples: Samples) -> CostModel:
    """Fits of all blocks, scaled to the presets among the whole configurations; the other ones
    are held out."""
    coefficients = fit(samples)
    plain = CostModel(samples.rtl, coefficients, dict.fromkeys(FITTED, 1.0), {})
    ratios: dict[str, dict[bool, list[float]]] = {f: {True: [], False: []} for f in ERRORS}
    for sample in samples.wholes:
        guess = plain.area(NpuConfig.from_dict(dict(sample.parameters))).figures
        for figure in ERRORS:
            ratio = guess[figure] / sample.figures[figure]
            ratios[figure][sample.of_preset].append(ratio)
    scale = {figure: round(1 / median(ratios[figure][True]), 4) for figure in FITTED}
    errors = {
        figure: [round(ratio * scale.get(figure, 1.0) - 1, 4) for ratio in found[False]]
        for figure, found in ratios.items()
    }
    return CostModel(samples.rtl, coefficients, scale, errors)


def save_model(model: CostModel, path: Path | None = None) -> Path:
    """Write fits to `path`, by default in place of those that ship; returns where they are.

    Raises
    ------
    OutputError : they cannot be written.
    """
    path = path or FITS
    document = {
        "rtl": model.rtl,
        "scale": model.scale,
        "errors": model.errors,
        "coefficients": model.coefficients,
    }
    try:
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None
    return path


def _fit_one(
    samples: Sequence[Sample], features: Sequence[str], sizes: Sequence[float]
) -> dict[str, float]:
    from scipy.optimize import nnls

    if not any(sizes):
        return {}
    known = [structure(NpuConfig.from_dict(dict(sample.parameters))) for sample in samples]
    matrix = np.array([[one[name] for name in features] for one in known])
    weights = 1 / np.maximum(np.array(sizes), 0.05 * max(sizes))
    found, _ = nnls(matrix * weights[:, None], np.array(sizes) * weights)
    return {n: round(float(v), 4) for n, v in zip(features, found, strict=True) if v > 1e-4}


def errors(samples: Samples, fitted: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Root mean square of the relative errors of LUTeq, by block: what to look at when fitting."""
    found = {}
    for block in BLOCKS:
        ratios = []
        for sample in samples.blocks:
            if sample.block == block and sample.figures["LUTeq"]:
                known = structure(NpuConfig.from_dict(dict(sample.parameters)))
                guess = sum(v * known[n] for n, v in fitted[block].items())
                ratios.append(guess / sample.figures["LUTeq"] - 1)
        found[block] = float(np.sqrt(np.mean(np.square(ratios)))) if ratios else 0.0
    return found
