import numpy as np
import pytest

from kernels.requantize import requantize_array
from npu.compiler.pooling import POOL_WEIGHT, averaging_tasks, reciprocal
from npu.compiler.tasks import Extent
from npu.quant_params import Placement

COUNTS = [*range(1, 70), 169, 225, 256, 961, 1024, 4095, 16384]


def rounded_half_away(total: np.ndarray, count: int) -> np.ndarray:
    return np.sign(total) * ((2 * np.abs(total) + count) // (2 * count))


@pytest.mark.parametrize("count", COUNTS)
def test_reciprocal_divides_exactly_as_tflm(count: int) -> None:
    total = np.arange(-128 * count, 127 * count + 1, dtype=np.int64)
    multiplier, shift = reciprocal(count)
    assert 1 << 30 <= multiplier < 1 << 31
    actual = requantize_array(
        (total * POOL_WEIGHT).astype(np.int32),
        np.array([multiplier], np.int32),
        np.array([shift], np.int32),
    )
    np.testing.assert_array_equal(actual, rounded_half_away(total, count))


@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_regions_cover_the_output_once_with_valid_taps(size: int, kernel: int, stride: int) -> None:
    output = -(-size // stride)
    pad = max((output - 1) * stride + kernel - size, 0) // 2
    windows = Placement(
        kernel=(kernel, kernel),
        stride=(stride, stride),
        dilation=(1, 1),
        padding=(pad, pad),
        ofm_hw=(output, output),
    )
    covered = np.zeros((output, output), int)
    tasks = averaging_tasks(Extent(size, size, 3), Extent(output, output, 3), windows, (-128, 127))
    for task in tasks:
        region = task.region
        covered[region.y0 : region.y1, region.x0 : region.x1] += 1
        for y in range(region.y0, region.y1):
            first = y * stride - task.kernel.pad_top
            expected = [
                i for i in range(y * stride - pad, y * stride - pad + kernel) if 0 <= i < size
            ]
            assert list(range(first, first + task.kernel.height)) == expected
    assert (covered == 1).all()
