"""Synthesized blocks and whole configurations that the cost model is fitted to, as they ship."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from npu.errors import OutputError
from rtl.config import PRESETS

PATH = Path(__file__).parent / "shipped" / "samples.json"
COMMAND = "make cost-samples"

Parameters = Mapping[str, int | str]


@dataclass(frozen=True)
class Sample:
    """A block of one configuration, or all of it, synthesized for ECP5.

    Attributes
    ----------
    block : its name in `npu.cost.blocks.BLOCKS`, or `WHOLE`.
    parameters : of the configuration.
    figures : LUTeq, FF, DSP and block RAM.
    depth_ns : `npu.cost.depth.longest_path_ns`; 0 where nobody looked.
    """

    block: str
    parameters: Parameters
    figures: Mapping[str, float]
    depth_ns: float = 0.0

    @property
    def of_preset(self) -> bool:
        """Its configuration is a preset's, as far as there were parameters when it was sampled."""
        return any(
            self.parameters.items() <= config.to_dict().items() for config in PRESETS.values()
        )


WHOLE = "whole"
"""Name of samples of the whole NPU, flattened."""


@dataclass(frozen=True)
class Samples:
    """What was synthesized, by which tool, of which RTL (`npu.synth.design.rtl_digest`)."""

    rtl: str
    tool: str
    blocks: Sequence[Sample]
    wholes: Sequence[Sample]


@cache
def load_samples(path: Path | None = None) -> Samples:
    """The samples at `path`, by default those that ship."""
    document = json.loads((path or PATH).read_text(encoding="utf-8"))
    configurations: list[Parameters] = document["configurations"]

    def read(records: Sequence[Mapping[str, Any]]) -> list[Sample]:
        return [
            Sample(
                record["block"],
                configurations[record["configuration"]],
                record["figures"],
                record["depth_ns"],
            )
            for record in records
        ]

    return Samples(
        document["rtl"], document["tool"], read(document["blocks"]), read(document["wholes"])
    )


def save_samples(samples: Samples, path: Path | None = None) -> Path:
    """Write samples to `path`, by default in place of those that ship; returns where they are.

    Raises
    ------
    OutputError : it cannot be written.
    """
    path = path or PATH
    everything = [*samples.blocks, *samples.wholes]
    configurations: list[dict[str, Any]] = []
    for sample in everything:
        if sample.parameters not in configurations:
            configurations.append(dict(sample.parameters))

    def write(found: Sequence[Sample]) -> str:
        records = []
        for sample in found:
            record = asdict(sample)
            del record["parameters"]
            record["configuration"] = configurations.index(dict(sample.parameters))
            records.append("  " + json.dumps(record))
        return "[\n" + ",\n".join(records) + "\n ]"

    rows = ",\n".join("  " + json.dumps(values) for values in configurations)
    text = (
        f'{{\n "command": {json.dumps(COMMAND)},\n "rtl": {json.dumps(samples.rtl)},\n'
        f' "tool": {json.dumps(samples.tool)},\n "configurations": [\n{rows}\n ],\n'
        f' "wholes": {write(samples.wholes)},\n "blocks": {write(samples.blocks)}\n}}\n'
    )
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}") from None
    load_samples.cache_clear()
    return path
