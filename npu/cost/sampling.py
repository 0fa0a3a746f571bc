"""Synthesizes blocks over the space of configurations: `python -m npu.cost.sampling`.

Each block is elaborated alone and flattened, which takes seconds where a whole configuration takes
minutes; a block that is the same in two configurations is synthesized once, and what was
synthesized before is taken from the cache.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from npu.cost.blocks import BLOCKS
from npu.cost.depth import longest_path_ns
from npu.cost.fit import make_model, save_model
from npu.cost.samples import WHOLE, Sample, Samples, load_samples, save_samples
from npu.synth.blocks import module_cells
from npu.synth.design import npu_design, rtl_digest
from npu.synth.errors import SynthesisError
from npu.synth.passes import NETLIST, STATISTICS
from npu.synth.process import ToolFailedError, Tools, interruptible
from npu.synth.resources import figures
from npu.synth.targets import Family
from npu.synth.tools import YOSYS, tool_version
from rtl.config import PRESETS, WEIGHT_FORMATS, NpuConfig
from rtl.errors import ConfigError
from sim.cache import cached, content_key

SEED = 14
RANDOM_CONFIGURATIONS = 10
LARGEST_MACS = 128
KEPT = ("LUTeq", "FF", "DSP", "block RAM")

_PASSES = [
    "read_verilog -lib +/ecp5/cells_bb.v",
    "read_rtlil block.il",
    "hierarchy -check -top block",
    # flattened before, some processes of Amaranth's are refused
    *("proc -noopt", "opt_expr", "opt_clean"),
    "synth_ecp5 -top block -run begin:check",
    f"tee -q -o {STATISTICS} stat -json",
    "blackbox =A:whitebox",
    f"write_json {NETLIST}",
]

CHOICES: dict[str, tuple[Any, ...]] = {
    "pixels": (2, 2, 4, 4, 8, 16),
    "channels": (1, 2, 4, 4, 8, 16),
    "lanes": (4, 8, 8, 8, 16),
    "accumulator_depth": (1, 2, 4, 4, 8, 16, 32),
    "requant_lanes": (2, 4, 4, 8, 8, 16, 32, 64),
    "scratchpad_kib": (32, 64, 128, 256, 512),
    "weight_buffer_kib": (16, 32, 64, 128, 256),
    "parameter_channels": (256, 512, 1024, 2048),
    "bus_bytes": (4, 8, 8, 16),
    "burst_beats": (16, 32, 64, 128),
    "outstanding_bursts": (1, 2, 4, 8),
    "queue_beats": (8, 16, 32),
    "counters": (1, 4, 16),
    "rounding": ("double", "double", "single", "half_up"),
    **dict.fromkeys(WEIGHT_FORMATS, (False, False, True)),
}
"""Values of the random configurations; what is written twice is drawn more often."""

HELD_OUT = (
    {"pixels": 4, "channels": 2, "scratchpad_kib": 64, "bus_bytes": 4, "masked_weights": True,
     "requant_lanes": 8, "parameter_channels": 512},
    {"pixels": 2, "channels": 8, "accumulator_depth": 2, "requant_lanes": 8, "queue_beats": 16,
     "scratchpad_kib": 96, "int4_weights": True, "clustered_weights": True, "counters": 4},
    {"pixels": 4, "channels": 4, "lanes": 4, "requant_lanes": 4, "scratchpad_kib": 128,
     "outstanding_bursts": 2, "rounding": "half_up"},
)  # fmt: skip
"""Whole configurations that no block was synthesized for: each differs from every sample in at
least two parameters. They check the model and are not fitted to."""


def plan() -> Iterator[NpuConfig]:
    """The presets up to `LARGEST_MACS`, then random legal configurations, always the same."""
    yield from (config for config in PRESETS.values() if config.macs_per_cycle <= LARGEST_MACS)
    draw = random.Random(SEED)
    found = 0
    while found < RANDOM_CONFIGURATIONS:
        try:
            config = NpuConfig(**{name: draw.choice(values) for name, values in CHOICES.items()})
        except ConfigError:
            continue
        if config.macs_per_cycle <= LARGEST_MACS and config.requant_lanes <= 32:
            found += 1
            yield config


def sample_block(block: str, config: NpuConfig, tools: Tools) -> Sample:
    """Synthesize one block of a configuration.

    Raises
    ------
    SynthesisError : yosys is not installed, or failed.
    """
    from rtl.multiplier import ECP5, Target
    from rtl.verilog import block_rtlil

    text = block_rtlil(BLOCKS[block].build(config), Target(ECP5))

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            work = Path(name)
            (work / "block.il").write_text(text, encoding="utf-8")
            try:
                tools.run({"tool": "yosys", "passes": _PASSES}, work, lambda line: None)
            except ToolFailedError as error:
                raise SynthesisError(f"synthesis of {block} failed: {error.reason}") from None
            statistics = json.loads((work / STATISTICS).read_text(encoding="utf-8"))
            netlist = json.loads((work / NETLIST).read_text(encoding="utf-8"))
        record = {
            "figures": figures(Family.ECP5, module_cells(statistics)["block"]),
            "depth_ns": round(longest_path_ns(netlist["modules"]["block"]), 2),
        }
        (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")

    key = content_key(text, tool_version(YOSYS), _PASSES)
    folder = cached("cost-block", key, build)
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    found = {name: record["figures"][name] for name in KEPT}
    return Sample(block, config.to_dict(), found, record["depth_ns"])


def sample_whole(config: NpuConfig, tools: Tools) -> Sample:
    """Synthesize all of a configuration, flattened.

    Raises
    ------
    SynthesisError : yosys failed.
    """
    from npu.synth.synthesis import Listener, flat_figures

    design = npu_design(config, "whole", Family.ECP5)
    listener = Listener(lambda line: None, lambda step, doing: None)
    found = flat_figures(design, Family.ECP5, tools, listener)
    return Sample(WHOLE, config.to_dict(), {name: found[name] for name in KEPT})


def sample_blocks(configs: Sequence[NpuConfig], jobs: int) -> list[Sample]:
    """Every block of every configuration, small ones first; equal blocks are kept once."""
    found: dict[tuple[object, ...], Sample] = {}
    with interruptible(), Tools(jobs) as tools, ThreadPoolExecutor(jobs) as pool:
        for config in sorted(configs, key=lambda config: config.macs_per_cycle):
            samples = pool.map(
                lambda block, config=config: sample_block(block, config, tools), BLOCKS
            )
            for sample in samples:
                features = BLOCKS[sample.block].values(config)
                key = (sample.block, *features, *sample.figures.values())
                found.setdefault(key, sample)
    return list(found.values())


def main() -> None:
    """Sample what `plan` has; with `--wholes`, the presets and `HELD_OUT` as a whole too."""
    parser = argparse.ArgumentParser(prog="python -m npu.cost.sampling", description=main.__doc__)
    parser.add_argument("--jobs", type=int, default=2, help="tools at a time")
    parser.add_argument(
        "--wholes", action="store_true", help="whole configurations too, minutes each"
    )
    options = parser.parse_args()
    blocks = sample_blocks(list(plan()), options.jobs)
    if options.wholes:
        configs = [PRESETS["npu64"], PRESETS["npu32"], PRESETS["npu64c"]]
        configs += [NpuConfig.from_dict(dict(values)) for values in HELD_OUT]
        with interruptible(), Tools(options.jobs) as tools:
            wholes = [sample_whole(config, tools) for config in configs]
    else:
        wholes = list(load_samples().wholes)
    samples = Samples(rtl_digest(), tool_version(YOSYS), blocks, wholes)
    save_samples(samples)
    save_model(make_model(samples))


if __name__ == "__main__":
    main()
