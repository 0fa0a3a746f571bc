"""The blocks that the hardware is made of, and what the size of each depends on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from math import log2
from typing import Any

from rtl.config import NpuConfig

Features = Mapping[str, float]
"""Structural quantities of a configuration by name, of which a block's size is a sum."""


@dataclass(frozen=True)
class BlockKind:
    """A block of the hierarchy that is synthesized alone.

    Attributes
    ----------
    module, component : where its class is; it takes a configuration.
    features : names from `structure` that its logic and registers grow with.
    """

    module: str
    component: str
    features: tuple[str, ...]

    def build(self, config: NpuConfig) -> Any:
        """The component, an `amaranth.lib.wiring.Component`."""
        make: Callable[[NpuConfig], Any] = getattr(import_module(self.module), self.component)
        return make(config)

    def values(self, config: NpuConfig) -> list[float]:
        """The block's features of a configuration."""
        known = structure(config)
        return [known[name] for name in self.features]


_BUS = ("bus", "beats", "bursts")
_FORMATS = ("decoder", "decoder K", "clustered", "int4", "masked", "pruned")

BLOCKS: dict[str, BlockKind] = {
    "control": BlockKind("rtl.control", "Control", ("1", "counters", "bus")),
    "command fetch": BlockKind("rtl.command_fetch", "CommandFetch", ("1", *_BUS)),
    "dispatcher": BlockKind("rtl.dispatcher", "Dispatcher", ("1", "queue")),
    "reads": BlockKind("rtl.read_manager", "ReadManager", ("1", *_BUS)),
    "load": BlockKind(
        "rtl.load_engine", "LoadEngine", ("1", "C", "bus", "C bus", "log C", *_FORMATS, *_BUS[1:])
    ),
    "store": BlockKind(
        "rtl.store_engine", "StoreEngine", ("1", "C", "bus", "C bus", "log C", *_BUS[1:])
    ),
    "scratchpad": BlockKind(
        "rtl.scratchpad",
        "Scratchpad",
        ("1", "P", "P C", "P C log P", "P address", "P C Q", "C cascade", "P C cascade"),
    ),
    "weights": BlockKind(
        "rtl.buffers",
        "WeightBuffer",
        ("1", "C", "K C", "decoder K C", "K C weight cascade"),
    ),
    "parameters": BlockKind(
        "rtl.buffers", "ParameterBuffer", ("1", "R1", "R1 C", "C", "parameter rows")
    ),
    "table": BlockKind("rtl.buffers", "LookupTable", ("1", "C", "R", "R C", "R log C")),
    "compute control": BlockKind("rtl.compute_control", "ComputeControl", ("1", "log D", "pruned")),
    "sequencer": BlockKind(
        "rtl.sequencer", "Sequencer", ("1", "P", "log P", "log C", "address", "pruned")
    ),
    "windows": BlockKind("rtl.window", "WindowQueue", ("1", "P", "P C", "P C log P", "P address")),
    "mac control": BlockKind(
        "rtl.mac_control", "MacControl", ("1", "P", "log P", "K", "log D", "log K", "pruned")
    ),
    "grid": BlockKind("rtl.grid", "Grid", ("1", "P C", "K C", "P K", "P K C", "P C K1")),
    "accumulators": BlockKind(
        "rtl.accumulators",
        "Accumulators",
        ("1", "P K", "P C", "P C deep", "R", "R choices", "P K C"),
    ),
    "drain": BlockKind("rtl.output_stage", "Drain", ("1", "P", "log choices", "log D")),
    "requantizers": BlockKind(
        "rtl.output_stage",
        "Requantize",
        ("1", "R", "R single", "R half up", "P", "R1", "Q", "R parts"),
    ),
    "elementwise": BlockKind(
        "rtl.elementwise",
        "Elementwise",
        ("1", "R", "R single", "R half up", "P C", "R choices", "C", "R parts"),
    ),
}
"""By name, all of `rtl.npu.Npu`; what that adds of its own is a few gates."""


@lru_cache(maxsize=8192)
def structure(config: NpuConfig) -> Features:
    """What the features of `BlockKind` are of a configuration."""
    p, k, c, r = config.pixels, config.channels, config.lanes, config.requant_lanes
    decoder = float(config.decodes_weights)
    rows = max(1, config.bank_depth >> 11)
    weight_rows = max(1, config.weight_words >> 11)
    return {
        "1": 1.0,
        "P": p,
        "K": k,
        "C": c,
        "R": r,
        "Q": config.requant_words,
        "R1": config.parameter_lanes,
        "P C": p * c,
        "K C": k * c,
        "P K": p * k,
        "P K C": p * k * c,
        "P C K1": p * c * (k > 1),
        "P C log P": p * c * log2(2 * p),
        "P C Q": p * c * config.requant_words,
        "P address": p * log2(config.bank_depth),
        "address": log2(config.scratchpad_words),
        "P C deep": p * c * -(-2 * config.block_words // 16),
        "C cascade": c * log2(rows) if rows > 1 else 0.0,
        "P C cascade": p * c * (rows > 1) * (rows - 1),
        "K C weight cascade": k * c * (weight_rows - 1),
        "R choices": r * config.output_choices,
        "R parts": r * (config.requant_parts - 1),
        "R C": r * c,
        "R1 C": config.parameter_lanes * c,
        "R log C": r * log2(c),
        "R single": r * (config.rounding == "single"),
        "R half up": r * (config.rounding == "half_up"),
        "parameter rows": config.parameter_channels / 1024,
        "log P": log2(p),
        "log C": log2(c),
        "log K": log2(k),
        "log D": log2(config.accumulator_depth),
        "log R": log2(r),
        "log rows": log2(rows * weight_rows),
        "log choices": log2(config.output_choices),
        "bus": config.bus_bytes,
        "C bus": c * config.bus_bytes,
        "beats": log2(config.burst_beats),
        "bursts": config.outstanding_bursts,
        "queue": config.queue_beats,
        "counters": config.counters,
        "decoder": decoder,
        "decoder K": decoder * k,
        "decoder K C": decoder * k * c,
        "clustered": float(config.clustered_weights),
        "int4": float(config.int4_weights),
        "masked": float(config.masked_weights),
        "pruned": float(config.pruned_weights),
    }


DEPTH_FEATURES = ("1", "log P", "log C", "log K", "log D", "log choices", "log R", "log rows")
"""Names from `structure` that the longest path of a block grows with."""
