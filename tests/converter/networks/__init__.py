"""Keras networks of every common family, small, with random weights.

Each function takes the batch (None, as Keras leaves it, or 1) and returns a model. `NETWORKS` names
them all.
"""

from collections.abc import Callable
from typing import Any

from tests.converter.networks import classifiers, images, operators, sequences

Build = Callable[[int | None], Any]

NETWORKS: dict[str, Build] = {
    name: build
    for family in (classifiers, images, sequences, operators)
    for name, build in family.NETWORKS.items()
}
"""Every network by name."""
