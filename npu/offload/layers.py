"""What each operator of a network cost, from the results of its segments."""

from collections.abc import Mapping

from npu.compiler.terms.segment import Segment
from npu.offload.network import CompiledNetwork
from npu.offload.processor import processor
from npu.offload.result import LayerResult
from rtl.isa import Engine
from sim.cycle import LayerAccount, account_layers, simulate
from sim.memory import MemoryConfig
from sim.program import Program
from sim.result import SimulationResult


def layer_results(
    network: CompiledNetwork,
    results: Mapping[Segment, SimulationResult],
    accounts: Mapping[int, LayerAccount],
) -> tuple[LayerResult, ...]:
    """One result per operator of the network, in its order.

    `results` are those of the segments that ran, `accounts` are by operator: see `layer_accounts`.
    """
    cycles: dict[int, int] = {}
    for segment, result in results.items():
        cycles.update(layer_cycles(network.programs[segment], result))
    reasons = network.partition.reasons
    return tuple(
        LayerResult(
            index=op.index,
            kind=op.kind,
            placed=processor(network.graph, op) if op.index in reasons else "NPU",
            reason=reasons.get(op.index, ""),
            macs=network.graph.macs(op),
            cycles=cycles.get(op.index),
            account=accounts.get(op.index),
        )
        for op in network.graph.operators
    )


def layer_accounts(
    network: CompiledNetwork, results: Mapping[Segment, SimulationResult], memory: MemoryConfig
) -> dict[int, LayerAccount]:
    """What the cycles of each operator on the NPU went to, by its index.

    Empty for results without cycles, and for a memory with random stalls, which the cycle model
    cannot account for.
    """
    accounts: dict[int, LayerAccount] = {}
    for segment, result in results.items():
        if result.cycles is not None and not memory.stall_probability:
            timing = simulate(network.programs[segment], memory)
            accounts.update({a.operator_index: a for a in account_layers(timing)})
    return accounts


def layer_cycles(program: Program, result: SimulationResult) -> dict[int, int]:
    """Cycles per operator: from the completion of the compute commands before its own to theirs.

    Engines overlap, so this is how much later the program ends because of an operator. The sum is
    the program's total: the first operator includes what happens before it, the last the final
    stores.
    """
    if result.cycles is None or not program.layers:
        return {}
    operator_of = {
        command: layer.operator_index
        for layer in program.layers
        for command in layer.compute_commands
    }
    last = program.layers[-1].operator_index
    cycles = dict.fromkeys((layer.operator_index for layer in program.layers), 0)
    before = 0
    for event in result.events:
        if event.engine is Engine.COMPUTE and not event.start:
            cycles[operator_of.get(event.command, last)] += event.cycle - before
            before = event.cycle
    cycles[last] += result.cycles - before
    return cycles


def total_cycles(results: Mapping[Segment, SimulationResult]) -> int | None:
    """Cycles of all segments; None when none was timed."""
    known = [result.cycles for result in results.values() if result.cycles is not None]
    return sum(known) if known else None


def total_counters(results: Mapping[Segment, SimulationResult]) -> dict[str, int]:
    """The counter events of all segments, by name."""
    totals: dict[str, int] = {}
    for result in results.values():
        for name, count in result.counters.items():
            totals[name] = totals.get(name, 0) + count
    return totals
