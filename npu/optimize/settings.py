"""What the user asks for, checked."""

from dataclasses import asdict, dataclass
from typing import Any

from npu.errors import OptimizeError
from npu.optimize.augment import Augmentation
from npu.optimize.choices import Granularity, Method, Quantization, Start

DENSE_DEFAULT = "first,last"
MAX_CLUSTERS = 256


@dataclass(frozen=True)
class Pruning:
    """A method, and the share of groups that become zero (0 to 1)."""

    method: Method
    ratio: float

    @classmethod
    def parse(cls, text: str) -> "Pruning":
        """From `METHOD:RATIO`.

        Raises
        ------
        OptimizeError : an unknown method, or a ratio that is not between 0 and 1.
        """
        name, _, share = text.partition(":")
        if name not in list(Method):
            raise OptimizeError(
                f"--prune {text!r}: METHOD:RATIO expected, with METHOD one of {', '.join(Method)}"
            )
        try:
            ratio = float(share)
        except ValueError:
            ratio = -1.0
        if not 0 < ratio < 1:
            raise OptimizeError(
                f"--prune {text!r}: the ratio must be between 0 and 1, such as {name}:0.75"
            )
        return cls(Method(name), ratio)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is done to a network; stages that are None are left out.

    Parameters
    ----------
    prune, granularity : which weights become zero, and how many at once.
    clusters, start : distinct weights in a tensor, and how k-means starts.
    quantize : None leaves a ready network as it is, and is int8 for a Keras model.
    qat : train with the rounding of the quantized network, instead of quantizing afterwards only.
    dense : operators that are not pruned: `first`, `last`, and layers by name or operator index.
    epochs : of each stage that trains. batch, rate : samples in a step, and the learning rate.
    distill : how much of what is learnt is the answer of the network as it came, in place of the
        label: 0 to 1.
    augment : what is done to images while training.
    max_loss : points of validation accuracy that may be lost; None asks for nothing.
    seed : of everything random.
    """

    prune: Pruning | None = None
    granularity: Granularity = Granularity.WORD
    clusters: int | None = None
    start: Start = Start.DENSITY
    quantize: Quantization | None = None
    qat: bool = False
    dense: frozenset[str] = frozenset(DENSE_DEFAULT.split(","))
    epochs: int = 6
    batch: int = 128
    rate: float = 1e-3
    distill: float = 0.0
    augment: Augmentation | None = None
    max_loss: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.clusters is not None and not 2 <= self.clusters <= MAX_CLUSTERS:
            raise OptimizeError(
                f"--cluster must be from 2 to {MAX_CLUSTERS} distinct weights, got {self.clusters}"
            )
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise OptimizeError(f"--{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.rate < 1:
            raise OptimizeError(f"--rate must be between 0 and 1, got {self.rate}")
        if not 0 <= self.distill <= 1:
            raise OptimizeError(f"--distill must be from 0 to 1, got {self.distill}")
        if self.max_loss is not None and self.max_loss < 0:
            raise OptimizeError(f"--max-loss must be 0 or more points, got {self.max_loss}")
        if self.seed < 0:
            raise OptimizeError(f"--seed must be 0 or more, got {self.seed}")

    def to_dict(self) -> dict[str, Any]:
        """The settings by name, as JSON takes them."""
        return {**asdict(self), "dense": sorted(self.dense)}
