"""The instruction sets that the inner loops are written for, and which of them this machine has.

What is packed for one of them (weights, images) is of no use to another, so the choice is made
when a kernel is prepared. The element type of packed weights tells the compiled code which one it
was: Numba compiles, and caches on disk, one version of a kernel for each.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding  # type: ignore[import-untyped]
from numba import config

VARIABLE = "NPU_KERNELS_ISA"
"""The environment variable that overrides the choice."""

SINGLE = 3
"""The form for one pixel by itself, as wide as the widest."""


@dataclass(frozen=True)
class InstructionSet:
    """How the inner loops compute on one instruction set.

    Parameters
    ----------
    name : how `VARIABLE` and `named` call it.
    features : what the processor must have, by LLVM's names.
    vnni : has dot products of four unsigned and four signed bytes that do not saturate on the way;
        otherwise those of two pairs of int16 are used.
    lanes : int32 values per vector of a matrix product. depthwise_lanes : of a depthwise one.
    forms : (pixels, vectors of outputs) of the tiles that a matrix product is made of, the widest
        first; as many sums as registers hold.
    depthwise_pixels : pixels of a depthwise tile.
    tag : element type of packed weights, different for each instruction set.
    """

    name: str
    features: tuple[str, ...]
    vnni: bool
    lanes: int
    depthwise_lanes: int
    forms: tuple[tuple[int, int], ...]
    depthwise_pixels: int
    tag: np.dtype[Any]

    @property
    def taps(self) -> int:
        """Products per int32 lane of one instruction."""
        return 4 if self.vnni else 2

    @property
    def element(self) -> np.dtype[Any]:
        """Element type of images and, apart from its sign, of packed weights."""
        return np.dtype(np.int8 if self.vnni else np.int16)

    def tile(self, form: int) -> tuple[int, int]:
        """(Pixels, vectors) of a tile: `forms[form]`, the last of them, or SINGLE, one pixel."""
        if form == SINGLE:
            return 1, self.forms[0][1]
        return self.forms[min(form, len(self.forms) - 1)]

    @property
    def block(self) -> int:
        """Channels of a depthwise tile: one vector of elements."""
        return self.depthwise_lanes * self.taps


INSTRUCTION_SETS: Mapping[str, InstructionSet] = {
    isa.name: isa
    for isa in (
        InstructionSet(
            name="avx512vnni",
            features=("avx512vnni", "avx512vl", "avx512bw", "avx512dq"),
            vnni=True,
            lanes=16,
            # 256 bits: shuffles dominate, and those have two ports only at this width
            depthwise_lanes=8,
            forms=((6, 4), (8, 2), (8, 1)),
            depthwise_pixels=4,
            tag=np.dtype(np.int8),
        ),
        InstructionSet(
            name="avxvnni",
            features=("avxvnni", "avx2"),
            vnni=True,
            lanes=8,
            depthwise_lanes=8,
            forms=((6, 2), (8, 1)),
            depthwise_pixels=2,
            tag=np.dtype(np.uint8),
        ),
        InstructionSet(
            name="avx2",
            features=("avx2",),
            vnni=False,
            lanes=8,
            depthwise_lanes=8,
            forms=((6, 2), (8, 1)),
            depthwise_pixels=4,
            tag=np.dtype(np.int16),
        ),
        InstructionSet(
            name="portable",
            features=(),
            vnni=False,
            lanes=4,
            depthwise_lanes=4,
            forms=((4, 2), (4, 1)),
            depthwise_pixels=4,
            tag=np.dtype(np.uint16),
        ),
    )
}
"""By name, the fastest first."""


def tagged(dtype: np.dtype[Any]) -> InstructionSet:
    """The instruction set whose packed weights are of `dtype`."""
    return next(isa for isa in INSTRUCTION_SETS.values() if isa.tag == dtype)


@cache
def available() -> tuple[InstructionSet, ...]:
    """What this machine has and Numba compiles for, the fastest first; never empty."""
    present = _features()
    return tuple(isa for isa in INSTRUCTION_SETS.values() if present.issuperset(isa.features))


def _features() -> set[str]:
    wanted: str | None = getattr(config, "CPU_FEATURES", None)
    if wanted or getattr(config, "CPU_NAME", None):
        return {flag[1:] for flag in (wanted or "").split(",") if flag[:1] == "+"}
    try:
        host = binding.get_host_cpu_features()
    except RuntimeError:
        # LLVM does not know this machine's
        return set()
    return {name for name, there in host.items() if there and getattr(config, "ENABLE_AVX", True)}


def named(name: str) -> InstructionSet:
    """The instruction set called `name`; ValueError unless this machine has it."""
    for isa in available():
        if isa.name == name:
            return isa
    allowed = ", ".join(isa.name for isa in available())
    raise ValueError(f"instruction set is {name!r}; allowed on this machine are {allowed}")


@cache
def default() -> InstructionSet:
    """What `VARIABLE` names when it is set, otherwise the fastest; ValueError as `named`."""
    name = os.environ.get(VARIABLE)
    return named(name) if name else available()[0]
