"""Makes the table that ships: every preset, every target, and the CPUs on the same parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from npu.synth.cores import core_design
from npu.synth.design import Design, npu_design, rtl_digest
from npu.synth.errors import DoesNotFitError, RoutingError
from npu.synth.flow import Request, run_flow
from npu.synth.liberty import Liberty
from npu.synth.process import Tools
from npu.synth.result import Cost, source_digest
from npu.synth.shipped import NAND2_KEY, Costs, Shipped
from npu.synth.synthesis import Listener
from npu.synth.targets import TARGETS
from npu.synth.tools import ROUTER, YOSYS, tool_version
from rtl.config import PRESETS
from sim.soc.cores import CORES


@dataclass(frozen=True)
class Plan:
    """How a preset is routed: on which part, with how many seeds."""

    target: str
    seeds: int


# routing takes minutes for the small ones and hours for the large ones, which fit no part
PLANS = {
    "npu32": Plan("ecp5-45k", 3),
    "npu64": Plan("ecp5-85k", 3),
    "npu128": Plan("ecp5-85k", 1),
    "npu256": Plan("ecp5-85k", 1),
    "npu512": Plan("ecp5-85k", 0),
    "npu1024": Plan("ecp5-85k", 0),
    "npu64c": Plan("ecp5-85k", 0),
    "npu256c": Plan("ecp5-85k", 0),
}
CORE_SEEDS = 3
ALL_TARGETS = ("ecp5-85k", "xc7", "generic")


@dataclass(frozen=True)
class Scope:
    """What of the table is made.

    Attributes
    ----------
    targets : names; any of ECP5 stands for whichever part a preset's plan has.
    pnr : whether to route. liberty : cells for NAND2 equivalents, or None.
    """

    targets: Sequence[str]
    pnr: bool
    liberty: Liberty | None = None

    def requests(self, preset: str) -> dict[str, Request]:
        """What is asked of a preset, by its key in the table."""
        plan = PLANS[preset]
        found = {}
        for name in self.targets:
            if name.startswith("ecp5"):
                seeds = range(1, plan.seeds + 1) if self.pnr else ()
                found[plan.target] = Request(TARGETS[plan.target], seeds=tuple(seeds))
            else:
                found[name] = Request(TARGETS[name])
        if self.liberty is not None:
            found[NAND2_KEY] = Request(TARGETS["generic"], liberty=self.liberty)
        return found


def make_table(scope: Scope, former: Shipped, jobs: int, listener: Listener) -> Shipped:
    """Every preset and core of `scope`; what `former` has of the same sources and tools is kept.

    A design that fits no part, or that the router gives up on, has the clocks of its blocks.

    Raises
    ------
    SynthesisError : a tool is missing, or synthesis failed.
    BuildError : a core's package is missing.
    """
    presets: Costs = {}
    for name, config in PRESETS.items():
        known = former.presets.get(name, {})
        presets[name] = {
            key: _cost(
                npu_design(config, name, request.target.family),
                request,
                known.get(key),
                jobs,
                listener,
                config.to_dict(),
            )
            for key, request in scope.requests(name).items()
        }
    cores = former.cores
    if scope.pnr:
        parts = dict.fromkeys(plan.target for plan in PLANS.values() if plan.seeds)
        seeds = tuple(range(1, CORE_SEEDS + 1))
        requests = {part: Request(TARGETS[part], seeds=seeds) for part in parts}
        cores = {}
        for name, core in CORES.items():
            design = core_design(core)
            known = former.cores.get(name, {})
            cores[name] = {
                part: _cost(design, request, known.get(part), jobs, listener)
                for part, request in requests.items()
            }
    return Shipped(rtl=rtl_digest(), presets=presets, cores=cores)


def _cost(
    design: Design,
    request: Request,
    known: Cost | None,
    jobs: int,
    listener: Listener,
    parameters: dict[str, int | str] | None = None,
) -> Cost:
    if known is not None and _is_answer(known, design, request, parameters):
        listener.log(f"{design.name}, {request.target.name}: unchanged")
        return known
    try:
        with Tools(jobs) as tools:
            cost = run_flow(design, request, tools, listener, parameters)
        if not request.seeds or not cost.overflow:
            return cost
    except (DoesNotFitError, RoutingError) as error:
        listener.log(str(error))
    blocks = replace(request, by_block=True, whole=False)
    with Tools(jobs) as tools:
        return run_flow(design, blocks, tools, listener, parameters)


def _is_answer(
    cost: Cost, design: Design, request: Request, parameters: dict[str, int | str] | None
) -> bool:
    """Whether a cost is what the flow would find again."""
    liberty = None if request.liberty is None else request.liberty.name
    same = (
        cost.sources == source_digest(design)
        and cost.target == request.target
        and cost.parameters == parameters
        and cost.liberty == liberty
        and cost.tools.get(YOSYS) == tool_version(YOSYS)
    )
    if not same or not request.seeds:
        return same
    answered = len(cost.routed) == len(request.seeds) or bool(cost.alone)
    return answered and cost.tools.get(ROUTER) == tool_version(ROUTER)
