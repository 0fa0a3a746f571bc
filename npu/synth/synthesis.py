"""Synthesis, flattened and block by block, kept by the content of all that it depends on."""

import gzip
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npu.synth import passes
from npu.synth.blocks import Block, block_tree, module_cells
from npu.synth.design import Design
from npu.synth.errors import SynthesisError
from npu.synth.liberty import Liberty
from npu.synth.process import ToolFailedError, Tools
from npu.synth.resources import Cells, Figures, figures, size_name, unmapped
from npu.synth.targets import Family
from npu.synth.tools import YOSYS, tool_version
from npu.synth.worker import KEPT_MEMORIES
from sim.cache import cached, content_key

Log = Callable[[str], None]
"""Called with one line about each step."""

Phase = Callable[[str, str], None]
"""Called with a step and what its tool is doing now; often."""

NETLIST = f"{passes.NETLIST}.gz"
_RECORD = "record.json"
_PASS = re.compile(r"([\d.]+)\. Executing (.*?)\.?$")


@dataclass(frozen=True)
class Synthesis:
    """A design as cells.

    Attributes
    ----------
    figures : its resources, flattened where there is a flattened netlist, else of all blocks.
    blocks : resources of each block, synthesized on its own.
    folder : with the flattened netlist, `NETLIST` and `passes.HIERARCHY`; None for families that
        are not routed.
    seconds : what the tools took, when they ran.
    """

    figures: Figures
    blocks: Block
    folder: Path | None
    seconds: float


@dataclass(frozen=True)
class Listener:
    """Who is told what goes on: `log` of steps, `phase` of what is done in them."""

    log: Log
    phase: Phase


def synthesize(
    design: Design,
    family: Family,
    tools: Tools,
    listener: Listener,
    liberty: Liberty | None = None,
) -> Synthesis:
    """Synthesize a design, or take it from the cache.

    Parameters
    ----------
    design : what. family : for what. liberty : cells that `Family.GENERIC` is mapped to, or None.
    tools : runs yosys. listener : is told.

    Raises
    ------
    SynthesisError : yosys is not installed, or fails; the message has its reason.
    """
    folders: list[Path]
    steps = [lambda: _run(design, family, tools, listener, liberty, flat=False)]
    if family is not Family.GENERIC:
        steps.insert(0, lambda: _run(design, family, tools, listener, None, flat=True))
    folders = tools.each(steps)
    records = [json.loads((folder / _RECORD).read_text(encoding="utf-8")) for folder in folders]
    tree = _tree(design, family, records[-1], liberty)
    seconds = sum(record["seconds"] for record in records)
    if family is Family.GENERIC:
        return Synthesis(tree.total, tree, None, seconds)
    total = figures(family, records[0]["modules"][design.top])
    return Synthesis(total, tree, folders[0] if family is Family.ECP5 else None, seconds)


def flat_figures(design: Design, family: Family, tools: Tools, listener: Listener) -> Figures:
    """Resources of a flattened design, without those of each block, or from the cache.

    Raises
    ------
    SynthesisError : as `synthesize`.
    """
    folder = _run(design, family, tools, listener, None, flat=True)
    record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    return figures(family, record["modules"][design.top])


def _tree(design: Design, family: Family, record: dict[str, Any], liberty: Liberty | None) -> Block:
    modules: dict[str, Cells] = record["modules"]
    if liberty is not None:
        check_mapped(modules, liberty)
    own = {
        module: figures(
            family,
            {name: number for name, number in cells.items() if name not in modules},
            macro_bits=record["macro_bits"].get(module, 0),
            areas=None if liberty is None else liberty.areas,
            nand2_area=1.0 if liberty is None else liberty.nand2_area,
        )
        for module, cells in modules.items()
    }
    return block_tree(design.top, modules, own, size_name(family, mapped=liberty is not None))


def check_mapped(modules: Mapping[str, Cells], liberty: Liberty) -> None:
    """Refuse a design with cells that a liberty file has nothing for: their area would be lost.

    Raises
    ------
    SynthesisError : names them.
    """
    types: dict[str, int] = {name: 1 for cells in modules.values() for name in cells}
    missing = unmapped(types, liberty.areas, set(modules))
    if missing:
        raise SynthesisError(f"--liberty '{liberty.name}' has no cell for {', '.join(missing[:5])}")


def _run(
    design: Design,
    family: Family,
    tools: Tools,
    listener: Listener,
    liberty: Liberty | None,
    *,
    flat: bool,
) -> Path:
    """The folder of one run of yosys, from the cache or made now."""
    version = tool_version(YOSYS)
    names = [f"design{index}{design.suffix}" for index in range(len(design.files))]
    commands = (
        passes.flat_passes(design, family, names)
        if flat
        else passes.block_passes(design, family, names, liberty=liberty is not None)
    )
    cells = "" if liberty is None else liberty.text
    key = content_key(json.dumps(commands), version, design.top, cells, *design.files)
    step = f"{design.name}, {family}{', flattened' if flat else ', each block'}"

    def build(target: Path) -> None:
        listener.log(f"{step}: synthesizing")
        begin = time.monotonic()
        with tempfile.TemporaryDirectory(dir=target.parent) as name:
            folder = Path(name)
            design.write(folder)
            if liberty is not None:
                (folder / passes.LIBERTY).write_text(liberty.text, encoding="utf-8")
            job = {"tool": "yosys", "passes": commands}
            try:
                tools.run(job, folder, lambda line: _tell(listener, step, line))
            except ToolFailedError as error:
                raise SynthesisError(f"synthesis of {design.name} failed: {error.reason}") from None
            _collect(folder, target, time.monotonic() - begin)
        listener.log(f"{step}: done")

    return cached("synth", key, build)


def _tell(listener: Listener, step: str, line: str) -> None:
    found = _PASS.match(line)
    if found is not None:
        listener.phase(step, found[2].removesuffix(" pass"))


def _collect(folder: Path, target: Path, seconds: float) -> None:
    """Keep what is needed later of a run's folder."""
    statistics = json.loads((folder / passes.STATISTICS).read_text(encoding="utf-8"))
    kept = folder / KEPT_MEMORIES
    record = {
        "modules": module_cells(statistics),
        "macro_bits": json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {},
        "tool": statistics["creator"],
        "seconds": round(seconds, 1),
    }
    (target / _RECORD).write_text(json.dumps(record), encoding="utf-8")
    netlist = folder / passes.NETLIST
    if netlist.is_file():
        with netlist.open("rb") as plain, gzip.open(target / NETLIST, "wb", compresslevel=3) as out:
            shutil.copyfileobj(plain, out)
        shutil.copy(folder / passes.HIERARCHY, target)
