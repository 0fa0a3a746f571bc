"""The whole flow: synthesis, place and route, and each block alone when that is asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from npu.synth.blocks import routable_units
from npu.synth.design import Design
from npu.synth.errors import SynthesisError
from npu.synth.liberty import Liberty
from npu.synth.process import Tools
from npu.synth.resources import size_name
from npu.synth.result import Cost, source_digest
from npu.synth.routing import median_mhz, route
from npu.synth.synthesis import Listener, Synthesis, synthesize
from npu.synth.targets import Family, Target, routable_part
from npu.synth.tools import ROUTER, YOSYS, tool_version

UNIT_LUTS = 4000
"""LUTeq up to which a block is routed alone as a whole."""

MAX_SEEDS = 99


@dataclass(frozen=True)
class Request:
    """What is asked of a design.

    Parameters
    ----------
    target : what to synthesize for.
    liberty : cells that `generic` is mapped to; None counts gates.
    seeds : of the placer; empty for synthesis only.
    by_block : route blocks alone too, with the first seed.
    whole : route the design as a whole, where it fits.

    Raises
    ------
    SynthesisError : a combination that makes no sense, or that no packaged tool can do.
    """

    target: Target
    liberty: Liberty | None = None
    seeds: Sequence[int] = ()
    by_block: bool = False
    whole: bool = True

    def __post_init__(self) -> None:
        if self.liberty is not None and self.target.family is not Family.GENERIC:
            raise SynthesisError(
                f"--liberty needs --target generic, {self.target.name} has cells of its own"
            )
        if self.seeds:
            routable_part(self.target)
        elif self.by_block:
            raise SynthesisError("--by-block needs --pnr")


def check_tools(request: Request) -> dict[str, str]:
    """Versions of the tools that a request needs, by package.

    Raises
    ------
    SynthesisError : one is not installed.
    """
    needed = [YOSYS, *([ROUTER] if request.seeds else [])]
    return {package: tool_version(package) for package in needed}


def run_flow(
    design: Design,
    request: Request,
    tools: Tools,
    listener: Listener,
    parameters: Mapping[str, int | str] | None = None,
) -> Cost:
    """Find out what a design costs; a design that does not fit the part is not routed.

    Parameters
    ----------
    design, request : what, and what of it. tools, listener : run the tools, are told.
    parameters : of the NPU's configuration, to be noted.

    Raises
    ------
    SynthesisError : a tool is missing or failed.
    DoesNotFitError : the router found no room, although the counts allow it.
    """
    # what is missing is found before synthesis takes minutes
    versions = check_tools(request)
    target = request.target
    synthesis = synthesize(design, target.family, tools, listener, request.liberty)
    cost = Cost(
        name=design.name,
        target=target,
        sources=source_digest(design),
        parameters=parameters,
        figures=synthesis.figures,
        blocks=synthesis.blocks,
        tools=versions,
        liberty=None if request.liberty is None else request.liberty.name,
    )
    if request.by_block:
        cost = replace(cost, alone=_route_blocks(design, synthesis, request, tools, listener))
    routable = request.seeds and request.whole and not cost.overflow
    if routable and synthesis.folder is not None:
        part = routable_part(target)
        routed = route(design, synthesis.folder, part, request.seeds, tools, listener)
        cost = replace(cost, routed=tuple(routed))
    return cost


def _route_blocks(
    design: Design, synthesis: Synthesis, request: Request, tools: Tools, listener: Listener
) -> dict[str, float]:
    """The clock of each block that holds registers, routed alone."""
    found = {}
    family, part = request.target.family, routable_part(request.target)
    size = size_name(family, mapped=False)
    for module in routable_units(synthesis.blocks, size, UNIT_LUTS):
        block = replace(design, name=f"{design.name} {module}", top=module)
        alone = synthesize(block, family, tools, listener)
        if alone.folder is None or not alone.figures["FF"] or part.overflow(alone.figures):
            continue
        routed = route(block, alone.folder, part, request.seeds[:1], tools, listener)
        found[module] = median_mhz(routed)
    return found
