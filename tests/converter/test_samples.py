"""Files of TensorFlow's converter: TFLM runs them, so every backend does, with the same bits.

`python -m tests.converter --write-samples` made them, from `tests.converter.networks`.
"""

import pytest

from npu.survey import judge
from tests.converter.samples import FOLDER, SAMPLES, path_of

OFFLOADED = 0.95
ON_THE_CPU = ("lstm_fused",)
"""The networks whose gates TFLM computes in int16, which the NPU's grid of 8 bits does not take."""


@pytest.mark.parametrize(("name", "batch", "mode"), SAMPLES)
def test_bit_exact_everywhere(name: str, batch: str, mode: str) -> None:
    verdict = judge(path_of(name, batch, mode).read_bytes())
    assert verdict.golden == ""
    assert dict(verdict.failures) == {}
    if mode != "int16x8" and name not in ON_THE_CPU:
        assert verdict.npu_macs >= OFFLOADED * verdict.macs, dict(verdict.cpu_macs)


def test_every_file_has_a_recipe() -> None:
    assert sorted(FOLDER.iterdir()) == sorted(path_of(*sample) for sample in SAMPLES)
