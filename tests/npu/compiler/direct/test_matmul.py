"""The taps that multiply operands with zero points."""

import numpy as np

from npu.compiler.direct.matmul import find_taps


def test_taps_add_up_to_the_product_of_differences() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (2, 200))
    for za in (-128, -127, -5, 0, 1, 127):
        for zb in (-128, -100, -1, 0, 64, 127):
            taps = find_taps(za, zb)
            assert all(-128 <= c <= 127 for c in (*taps.constants, taps.padding))
            total = sum(int((a * (b if w is None else w)).sum()) for w in taps.inside)
            total += sum(
                int((taps.padding * (b if w is None else np.full_like(b, w))).sum())
                for w in taps.outside
            )
            assert total == int(((a - za) * (b - zb)).sum()), (za, zb)
