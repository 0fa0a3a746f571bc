"""Configurations for tests: what the presets leave out."""

import dataclasses
from collections.abc import Iterable
from typing import Any

from rtl.config import PRESETS, NpuConfig

SMALL = NpuConfig(
    pixels=2,
    channels=2,
    lanes=4,
    requant_lanes=8,
    accumulator_depth=4,
    scratchpad_kib=16,
    weight_buffer_kib=8,
    parameter_channels=128,
    bus_bytes=4,
    burst_beats=8,
    outstanding_bursts=2,
    queue_beats=8,
)
"""Quick to build and to simulate; everything but the ratio of channels to lanes at its minimum."""

SQUARE = NpuConfig(
    pixels=2,
    channels=4,
    lanes=4,
    requant_lanes=4,
    accumulator_depth=3,
    scratchpad_kib=4,
    weight_buffer_kib=4,
    parameter_channels=64,
)
"""As many channels as lanes, and memories so small that programs reuse them."""

WIDE = NpuConfig(
    pixels=4, channels=16, lanes=16, requant_lanes=8, accumulator_depth=2, bus_bytes=16
)
"""The widest words, and depthwise taps limited by the window."""

SINGLE = dataclasses.replace(SMALL, rounding="single")
HALF_UP = dataclasses.replace(SQUARE, rounding="half_up")

FUNCTIONAL = {
    "small": SMALL,
    "square": SQUARE,
    "wide": WIDE,
    "single": SINGLE,
    "half_up": HALF_UP,
    "npu32": PRESETS["npu32"],
    "npu64": PRESETS["npu64"],
    "npu256": PRESETS["npu256"],
    "npu1024": PRESETS["npu1024"],
}

DEEP = NpuConfig(
    pixels=4,
    channels=8,
    lanes=8,
    accumulator_depth=3,
    requant_lanes=8,
    scratchpad_kib=16,
    weight_buffer_kib=32,
    parameter_channels=256,
    bus_bytes=16,
    burst_beats=16,
    outstanding_bursts=8,
)
"""A depth that is no power of two, and a bus wider than a word."""

SLIM = NpuConfig(
    pixels=2,
    channels=1,
    lanes=16,
    accumulator_depth=16,
    requant_lanes=4,
    scratchpad_kib=32,
    weight_buffer_kib=32,
    parameter_channels=1024,
    burst_beats=256,
    queue_beats=64,
)
"""One column, so that a word takes sixteen groups, and words wider than the bus."""

DECODING = dataclasses.replace(
    SMALL,
    lanes=8,
    clustered_weights=True,
    int4_weights=True,
    masked_weights=True,
    pruned_weights=True,
)
"""All formats of weights, on a bus narrower than their units."""

RTL = {"small": SMALL, "deep": DEEP, "slim": SLIM, "decoding": DECODING}
"""Built quickly; they differ in everything that shapes the hardware."""


def switched(formats: Iterable[str]) -> dict[str, Any]:
    """Parameters of hardware with these of `rtl.config.WEIGHT_FORMATS`."""
    return dict.fromkeys(formats, True)
