from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels.requantize import Rounding, requantize_array
from npu.compiler.errors import CompileError
from npu.compiler.lowering.average_pooling import EXACT_COUNT, averaging_tasks, division
from npu.compiler.terms.geometry import Extent
from npu.model.quant_params import WindowGeometry

COUNTS = [*range(1, 70), 169, 225, 256, 961, 1024, EXACT_COUNT]
LARGE_COUNTS = [EXACT_COUNT + 1, 4095, 4096, 16384, 65025]


def rounded_half_away(total: NDArray[Any], count: int) -> NDArray[Any]:
    rounded: NDArray[Any] = np.sign(total) * ((2 * np.abs(total) + count) // (2 * count))
    return rounded


def check_division(count: int, rounding: Rounding) -> None:
    total = np.arange(-128 * count, 127 * count + 1, dtype=np.int64)
    weight, multiplier, shift = division(count, rounding)
    assert 0 < multiplier < 1 << 31
    actual = requantize_array(
        (total * weight).astype(np.int32),
        np.array([multiplier], np.int32),
        np.array([shift], np.int32),
        rounding=rounding,
    )
    np.testing.assert_array_equal(actual, rounded_half_away(total, count))


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("count", COUNTS)
def test_sums_are_divided_exactly_as_in_tflm(count: int, rounding: Rounding) -> None:
    check_division(count, rounding)


@pytest.mark.parametrize("count", LARGE_COUNTS)
def test_large_windows_need_the_rounding_of_tflm(count: int) -> None:
    check_division(count, Rounding.DOUBLE)
    for rounding in (Rounding.SINGLE, Rounding.HALF_UP):
        with pytest.raises(CompileError, match=f"exact over up to 2896 values, not {count}"):
            division(count, rounding)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_areas_cover_the_output_once_with_valid_taps(size: int, kernel: int, stride: int) -> None:
    output = -(-size // stride)
    pad = max((output - 1) * stride + kernel - size, 0) // 2
    windows = WindowGeometry(
        kernel=(kernel, kernel),
        stride=(stride, stride),
        dilation=(1, 1),
        padding=(pad, pad),
        ofm_hw=(output, output),
    )
    covered = np.zeros((output, output), int)
    ifm, ofm = Extent(size, size, 3), Extent(output, output, 3)
    tasks = averaging_tasks(ifm, ofm, windows, (-128, 127), Rounding.DOUBLE)
    for task in tasks:
        area = task.area
        covered[area.y0 : area.y1, area.x0 : area.x1] += 1
        for y in range(area.y0, area.y1):
            first = y * stride - task.window.pad_top
            expected = [
                i for i in range(y * stride - pad, y * stride - pad + kernel) if 0 <= i < size
            ]
            assert list(range(first, first + task.window.height)) == expected
    assert (covered == 1).all()
