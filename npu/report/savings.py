"""What hardware that decodes weights would save of those that a run loaded as they are."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from npu.compiler.stream.encoding import estimated_bytes
from rtl.config import DECODER_LANES, PRESETS, WEIGHT_FORMATS, NpuConfig
from rtl.isa import Destination, Opcode, Region
from sim.program import Program

LEAST_SHARE = 0.1
"""Of the weights' bytes: what is worth a line."""


def decoder_lines(programs: Iterable[Program], config: NpuConfig) -> list[str]:
    """A line about the bytes that decoders would save; none where it is little, or they are
    there."""
    if config.decodes_weights or config.lanes != DECODER_LANES or config.channels < 2:
        return []
    formats: dict[str, Any] = dict.fromkeys(WEIGHT_FORMATS, True)
    everything = replace(config, **formats)
    dense = encoded = 0
    for program in programs:
        for load in program.decode():
            if (
                load.opcode == Opcode.LOAD
                and load["destination"] == Destination.WEIGHTS
                and load["region"] == Region.CONSTANTS
            ):
                first = load["offset"]
                weights = program.constants[first : first + load["row_bytes"]]
                dense += len(weights)
                encoded += estimated_bytes(weights, everything)
    if dense - encoded <= LEAST_SHARE * dense:
        return []
    names = " or ".join(name for name, preset in PRESETS.items() if preset.decodes_weights)
    return [
        f"weights: {dense:,} bytes loaded; hardware that decodes them ({names}) would load"
        f" {encoded:,}, {100 * (1 - encoded / dense):.0f} % less"
    ]
