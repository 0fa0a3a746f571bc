"""Images that are mirrored and moved while a network trains, so that it sees each only once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from npu.errors import OptimizeError


@dataclass(frozen=True)
class Augmentation:
    """What is done to images.

    Attributes
    ----------
    mirror : whether half of them are mirrored, left to right.
    shift : pixels by which each is moved at most, down or up and to a side; zeros move in.
    """

    mirror: bool = False
    shift: int = 0

    @classmethod
    def parse(cls, text: str) -> "Augmentation":
        """From `mirror`, `shift:N`, or both with a comma between them.

        Raises
        ------
        OptimizeError : something else.
        """
        mirror, shift = False, 0
        for word in text.split(","):
            name, _, amount = word.strip().partition(":")
            if name == "mirror" and not amount:
                mirror = True
            elif name == "shift" and amount.isdecimal() and int(amount) > 0:
                shift = int(amount)
            else:
                raise OptimizeError(f"--augment takes mirror and shift:PIXELS, got {text!r}")
        return cls(mirror, shift)

    def apply(
        self, images: NDArray[np.float32], generator: np.random.Generator
    ) -> NDArray[np.float32]:
        """Other images of the same shape `[n, height, width, channels]`.

        Raises
        ------
        OptimizeError : samples that are no images, or none that large.
        """
        if images.ndim != 4 or self.shift >= min(images.shape[1:3]):
            raise OptimizeError(
                f"--augment needs images larger than the shift of {self.shift}, samples have shape"
                f" {list(images.shape[1:])}"
            )
        count, height, width, _ = images.shape
        side = (self.shift, self.shift)
        padded = np.pad(images, ((0, 0), side, side, (0, 0)))
        rows = generator.integers(0, 2 * self.shift + 1, (count, 1)) + np.arange(height)
        columns = generator.integers(0, 2 * self.shift + 1, (count, 1)) + np.arange(width)
        turned = generator.random((count, 1)) < 0.5
        if self.mirror:
            columns = np.where(turned, columns[:, ::-1], columns)
        places = (np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :])
        moved: NDArray[np.float32] = padded[places]
        return moved
