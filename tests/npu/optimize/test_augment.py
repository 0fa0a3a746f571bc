"""Images that are mirrored and moved."""

import numpy as np
import pytest

from npu.errors import OptimizeError
from npu.optimize.augment import Augmentation

IMAGES = np.arange(1, 1 + 40 * 5 * 6 * 2, dtype=np.float32).reshape(40, 5, 6, 2)


def test_every_image_is_a_window_of_itself() -> None:
    moved = Augmentation.parse("mirror, shift:2").apply(IMAGES, np.random.default_rng(1))
    seen = set()
    for image, other in zip(IMAGES, moved, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        windows = {
            (y, x, turn): padded[y : y + 5, x : x + 6][:, :: -1 if turn else 1]
            for y in range(5)
            for x in range(5)
            for turn in (False, True)
        }
        (found,) = [key for key, window in windows.items() if np.array_equal(window, other)]
        seen.add(found)
    assert {turn for _, _, turn in seen} == {False, True}
    assert {y for y, _, _ in seen} == {x for _, x, _ in seen} == set(range(5))


def test_the_same_generator_gives_the_same() -> None:
    augment = Augmentation(shift=1)
    first, second = (augment.apply(IMAGES, np.random.default_rng(7)) for _ in "ab")
    assert np.array_equal(first, second)
    assert np.array_equal(Augmentation().apply(IMAGES, np.random.default_rng(7)), IMAGES)


@pytest.mark.parametrize("text", ["", "turn", "mirror:2", "shift", "shift:0", "shift:x"])
def test_what_is_not_known(text: str) -> None:
    with pytest.raises(OptimizeError, match="--augment takes mirror and shift:PIXELS, got"):
        Augmentation.parse(text)


def test_what_is_no_image() -> None:
    message = r"--augment needs images larger than the shift of 5, samples have shape \[5, 6, 2\]"
    with pytest.raises(OptimizeError, match=message):
        Augmentation(shift=5).apply(IMAGES, np.random.default_rng(0))
    with pytest.raises(OptimizeError, match=r"samples have shape \[12\]"):
        Augmentation(shift=1).apply(IMAGES.reshape(200, 12), np.random.default_rng(0))
