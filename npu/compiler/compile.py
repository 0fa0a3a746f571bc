"""Compiles a segment to a program."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from npu.allocation import Request, allocate
from npu.compiler.lowering.segment import lower_segment
from npu.compiler.planning.plan import SegmentPlan, plan_segment
from npu.compiler.planning.schedule import schedule
from npu.compiler.stream.command_stream import CommandStream, Stream
from npu.compiler.stream.commands import grid
from npu.compiler.stream.constants import ConstantItem, ConstantRegion, ConstantRing, TableSlot
from npu.compiler.stream.encoding import encoded_piece
from npu.compiler.stream.listing import Listed
from npu.compiler.terms.command import CommandDraft
from npu.compiler.terms.layout import parameter_bytes
from npu.compiler.terms.piece import PieceKey
from npu.compiler.terms.segment import Segment
from npu.compiler.terms.steps import CommandStep, GridStep, Step
from npu.model.graph import Graph
from rtl.config import LIST_ROWS, NpuConfig
from rtl.isa import COMMANDS, Destination, Engine, encode_all
from sim.program import Program, ProgramLayer, TensorBinding

ARENA_ALIGNMENT = 64
"""Bytes to which tensors in the arena are aligned, so that bursts are."""


@dataclass(frozen=True, kw_only=True)
class CompilerOptions:
    """What the user chooses.

    Parameters
    ----------
    keep_intermediates : store every tensor that the NPU computes completely to the arena, so that
        a run can be checked tensor by tensor; costs cycles and arena.
    """

    keep_intermediates: bool = False


def compile_segment(
    graph: Graph,
    segment: Segment,
    config: NpuConfig,
    options: CompilerOptions | None = None,
) -> Program:
    """Compile a segment of `graph`; a pure function of its arguments.

    Raises
    ------
    CompileError : an operator does not fit the hardware; `partition` chooses operators that do.
    """
    options = options or CompilerOptions()
    lowered = lower_segment(graph, segment, config)
    external = frozenset(lowered.roots[t] for t in segment.inputs)
    kept = {lowered.roots[t] for t in segment.outputs}
    in_memory = external.union(
        lowered.written_in_arena, *(op.constants for op in lowered.operators)
    )
    plan = plan_segment(lowered.operators, in_memory, frozenset(kept), config)
    if options.keep_intermediates:
        kept |= {op.target for op in lowered.operators}
        kept -= {tensor for group in plan.groups for tensor in group.partial()}
    produced = {op.target for op in lowered.operators}
    written = plan.spilled | lowered.written_in_arena
    stored = frozenset((kept | lowered.read_in_arena) & produced - written)
    offsets, arena_bytes = _arena(lowered.sizes, plan, external | kept, written | stored)
    constants = ConstantRegion()
    maps = {
        source: constants.add([data.reshape(-1).view(np.uint8)])
        for op in lowered.operators
        for source, data in op.constants.items()
    }
    steps = list(schedule(plan, {**offsets, **maps}, stored, config))
    stream, positions = _assemble(steps, constants, config)

    def bind(tensor: int) -> TensorBinding:
        t = graph.tensors[tensor]
        offset = offsets[lowered.roots[tensor]] + lowered.offsets[tensor]
        return TensorBinding(t.name, tensor, offset, t.shape, t.dtype.name)

    in_arena = [t for t in lowered.offsets if lowered.roots[t] in external | kept]
    layers: list[ProgramLayer] = []
    for position, op in enumerate(lowered.operators):
        numbers = [stream.positions[number] for number in positions.get(position, ())]
        macs = op.macs
        if layers and layers[-1].operator_index == op.index:
            part = layers.pop()
            macs += part.macs
            numbers += part.compute_commands
        layers.append(ProgramLayer(op.index, op.kind, macs, tuple(sorted(numbers))))
    return Program(
        config=config,
        commands=encode_all(stream.commands),
        constants=constants.bytes(),
        arena_bytes=arena_bytes,
        inputs=tuple(bind(t) for t in segment.inputs),
        outputs=tuple(bind(t) for t in segment.outputs),
        tensors=tuple(bind(t) for t in in_arena),
        layers=tuple(layers),
    )


def _arena(
    sizes: Mapping[int, int], plan: SegmentPlan, kept: frozenset[int], others: frozenset[int]
) -> tuple[dict[int, int], int]:
    """Byte offsets by tensor: those in `kept` for the whole run, `others` while needed."""
    lives = {tensor: (-1, len(plan.groups)) for tensor in sorted(kept)}
    # the operators of a group interleave, so that a tensor is needed during whole groups
    for number, group in enumerate(plan.groups):
        for member in group.members:
            for tensor in (*member.op.sources, *member.op.read_in_arena, member.op.target):
                if tensor in others and tensor not in kept:
                    lives[tensor] = (lives.get(tensor, (number, number))[0], number)
    requests = [Request(tensor, sizes[tensor], *life) for tensor, life in lives.items()]
    addresses, size = allocate(requests, ARENA_ALIGNMENT)
    return {t: addresses[t] for t in lives}, size


def _assemble(
    steps: list[Step], region: ConstantRegion, config: NpuConfig
) -> tuple[Stream, dict[int, list[int]]]:
    """The stream, and by operator position the numbers of its compute commands.

    Adds the constants that the steps need to `region`.
    """
    weights: dict[PieceKey, ConstantItem] = {}
    parameters: dict[PieceKey, ConstantItem] = {}
    lists: dict[PieceKey, Listed] = {}
    grid_steps = [step for step in steps if isinstance(step, GridStep)]
    for use in grid_steps:
        first, end = use.piece.first, use.piece.end(config)
        if use.task.weights is not None and use.key not in weights:
            data, encoding, steps_kept = encoded_piece(use.task, use.piece, config)
            if steps_kept is not None:
                lists[use.key] = steps_kept
            destination = Destination.ENCODED if encoding else Destination.WEIGHTS
            weights[use.key] = ConstantItem(destination, data, encoding)
        if use.task.parameters is not None and use.key not in parameters:
            data = parameter_bytes(use.task, first, end, config)
            parameters[use.key] = ConstantItem(use.task.parameters, data)
    uses = [use.key for use in grid_steps]
    rings = (
        ConstantRing(weights, uses, region, config.weight_words, config),
        ConstantRing(parameters, uses, region, config.parameter_blocks, config),
        ConstantRing(
            {key: ConstantItem(Destination.LIST, found.rows) for key, found in lists.items()},
            uses,
            region,
            LIST_ROWS,
            config,
        ),
    )
    tables = TableSlot(region, config)
    stream = CommandStream(config.config_id)
    positions: dict[int, list[int]] = {}

    def put(command: CommandDraft) -> int:
        return stream.add(
            command.opcode,
            command.fields,
            reads=command.reads,
            writes=command.writes,
            cycles=command.cycles,
        )

    for step in steps:
        if isinstance(step, GridStep):
            found = [ring.require(step.key) for ring in rings]
            loads = [load for _, load in found]
            bases = [base for base, _ in found]
            command = grid(
                step.task,
                step.piece,
                step.area,
                step.ifm,
                step.ofm,
                bases[0],
                bases[1],
                config,
                (bases[2], lists[step.key]) if step.key in lists else None,
            )
            commands = [*(load for load in loads if load is not None), command]
        elif isinstance(step, CommandStep):
            table = tables.require(step.table) if step.table is not None else None
            commands = [step.command] if table is None else [table, step.command]
        else:
            commands = list(step.commands(rings[0].reserve(step.words)))
        for command in commands:
            number = put(command)
            if COMMANDS[command.opcode].engine == Engine.COMPUTE:
                positions.setdefault(step.position, []).append(number)
    return stream.finish(), positions
