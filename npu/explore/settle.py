"""Parameters that follow others: what nobody asked for gives way to what was asked for."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping

from rtl.config import WEIGHT_FORMATS, NpuConfig
from rtl.errors import ConfigError

Value = int | str

_POWERS = tuple(1 << exponent for exponent in range(9))
CANDIDATES: dict[str, tuple[int, ...]] = {
    "channels": _POWERS,
    "accumulator_depth": tuple(range(1, 33)),
    "requant_lanes": _POWERS,
    "parameter_channels": tuple(range(16, 16_385, 16)),
}
"""Parameters whose legal values depend on others, and what is tried for them."""

_TRIED = 400
"""Values of one parameter alone, or combinations of several, nearest first."""


def settle(values: Mapping[str, Value], given: Collection[str]) -> dict[str, int]:
    """The fewest and smallest changes that make `values`, by name, legal hardware.

    Only names of `CANDIDATES` that are not `given` are changed; where nothing else helps,
    decoders of weights are left out. Empty where nothing has to change, or no change that is tried
    helps: the configuration then says what is wrong with it.
    """
    if _legal(values):
        return {}
    changes = _settle(values, given)
    decoders = [name for name in WEIGHT_FORMATS if name not in given and values.get(name)]
    without: dict[str, int] = dict.fromkeys(decoders, False)
    if changes or not without:
        return changes
    values = {**values, **without}
    return without if _legal(values) else {**without, **_settle(values, given)}


def _settle(values: Mapping[str, Value], given: Collection[str]) -> dict[str, int]:
    """`settle`, which nothing but a change can help."""
    free = [name for name in CANDIDATES if name not in given]
    for count in range(1, len(free) + 1):
        for names in itertools.combinations(free, count):
            for changes in itertools.islice(_changes(values, names), _TRIED):
                if _legal({**values, **changes}):
                    return changes
    return {}


def _changes(values: Mapping[str, Value], names: tuple[str, ...]) -> Iterator[dict[str, int]]:
    """New values of `names`, those that change the least, as a factor, first."""
    factors = []
    for name in names:
        old = values[name]
        if not isinstance(old, int) or old < 1:
            return
        others = [(abs(math.log2(new / old)), new) for new in CANDIDATES[name] if new != old]
        factors.append(sorted(others)[: _TRIED if len(names) == 1 else 8])
    for chosen in sorted(itertools.product(*factors), key=lambda pairs: sum(p[0] for p in pairs)):
        yield {name: new for name, (_, new) in zip(names, chosen, strict=True)}


def _legal(values: Mapping[str, Value]) -> bool:
    try:
        NpuConfig.from_dict(dict(values))
    except ConfigError:
        return False
    return True
