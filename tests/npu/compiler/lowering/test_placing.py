"""Where maps lie in others, and what cannot be used there."""

import numpy as np
import pytest

from npu.compiler.lowering.placing import place_map
from npu.compiler.terms.geometry import Extent
from npu.compiler.terms.strided import Strided
from tests.npu.compiler.terms.test_strided import positions

pytestmark = pytest.mark.quick

WHOLE = Extent(6, 10, 32)
PLACES = {
    "all": (lambda a: a, Extent(6, 10, 32), True),
    "rows": (lambda a: a[2:5], Extent(3, 10, 32), True),
    "columns": (lambda a: a[:, 3:7], Extent(6, 4, 32), True),
    "words of channels": (lambda a: a[..., 8:20], Extent(6, 10, 12), True),
    "bytes of channels": (lambda a: a[..., 4:12], Extent(6, 10, 8), False),
    "every second row": (lambda a: a[::2], Extent(3, 10, 32), True),
    "every second column": (lambda a: a[:, ::2], Extent(6, 5, 32), False),
    "other rows": (lambda a: a, Extent(10, 6, 32), True),
    "other channels": (lambda a: a, Extent(6, 20, 16), False),
}


@pytest.mark.parametrize("name", PLACES)
def test_places_of_maps(name: str) -> None:
    change, extent, on_chip = PLACES[name]
    layout = Strided.dense((6, 10, 32)).apply(change)
    place = place_map(layout, extent, WHOLE, 8, joined_rows=False)
    assert place is not None
    assert place.on_chip == on_chip
    starts = positions(layout.reshape(extent.height, extent.width, extent.channels))[..., 0]
    rows, columns = np.ogrid[: extent.height, : extent.width]
    found = place.offset + rows * place.row_stride + columns * place.pixel_stride
    np.testing.assert_array_equal(found, starts)
    if on_chip:
        words = (place.pixel + rows * place.row_pitch + columns) * WHOLE.channels + place.channel
        np.testing.assert_array_equal(words, starts)


def test_places_that_commands_cannot_reach() -> None:
    dense = Strided.dense((6, 10, 32))
    for change, extent in (
        (lambda a: a.transpose(0, 2, 1), Extent(6, 32, 10)),
        (lambda a: a[:, ::-1], WHOLE),
        (lambda a: a[:, 3:7], Extent(1, 24, 32)),
    ):
        assert place_map(dense.apply(change), extent, WHOLE, 8, joined_rows=False) is None
    long = Extent(1, 60_000, 1000)
    assert place_map(Strided.dense((60_000, 1000)), long, long, 8, joined_rows=False) is not None
    apart = place_map(dense.apply(lambda a: a[:, 3:7]), Extent(6, 4, 32), WHOLE, 8, True)
    assert apart is not None
    assert not apart.on_chip
