"""Public int8 networks to run when they are at hand; they are not part of the project.

The folder is `NPU_MODELS` of the environment, or `../shared/models` beside the checkout. It holds
`NAME.tflite` files, and real inputs in `inputs.npz` keyed `NAME/sample`.
"""

import os
from pathlib import Path

import pytest

FOLDER = Path(
    os.environ.get("NPU_MODELS") or Path(__file__).resolve().parents[3] / "shared" / "models"
)
INPUTS = FOLDER / "inputs.npz"

MLPERF = (
    "mlperf_ic_resnet8",
    "mlperf_kws_dscnn",
    "mlperf_vww_mbv1_96",
    "mlperf_ad_toycar",
)
"""The four networks of MLPerf Tiny, all with real inputs in `inputs.npz`."""

NETWORKS = (
    *MLPERF,
    "mlperf_ic_resnet_large",
    "mlperf_sww_1dconv",
    "tflm_hello_world_int8",
    "tflm_micro_speech",
    "tflm_mobilenet_v2_224",
)


def shared_model(name: str) -> Path:
    """The path of `NAME.tflite`; skips the calling test, with the reason, when it is absent."""
    path = FOLDER / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {FOLDER} (set NPU_MODELS to a folder that has it)")
    return path


def shared_inputs() -> Path:
    """The path of `inputs.npz`; skips the calling test, with the reason, when it is absent."""
    shared_model(MLPERF[0])
    if not INPUTS.is_file():
        pytest.skip(f"no {INPUTS.name} in {FOLDER}")
    return INPUTS
