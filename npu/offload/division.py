"""A network divided into what the NPU runs, compiled, and what is left to the CPU.

Whatever does not fit goes to the CPU with the reason. A run of operators that fit one by one and
not together is cut in two.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from npu.compiler.compile import CompilerOptions, compile_segment
from npu.compiler.errors import CompileError
from npu.compiler.rules.partition import Partition, partition
from npu.compiler.terms.segment import Segment
from npu.model.graph import Graph
from rtl.config import NpuConfig
from sim.program import Program

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Division:
    """Where operators run, and the programs of those on the NPU, in execution order."""

    partition: Partition
    programs: dict[Segment, Program]


def divide(
    graph: Graph,
    config: NpuConfig,
    options: CompilerOptions,
    against: Mapping[int, str] | None = None,
) -> Division:
    """Compile all of `graph` that fits the NPU.

    `against` has reasons why operators must go to the CPU in any case, by index.
    """
    cuts: set[int] = set()
    refused = dict(against or {})
    compiled: dict[Segment, Program] = {}
    while True:
        parts = partition(graph, config, refused=refused, cuts=frozenset(cuts))
        failed = False
        for segment in parts.segments:
            if segment in compiled:
                continue
            try:
                compiled[segment] = compile_segment(graph, segment, config, options)
            except CompileError as error:
                failed = True
                LOG.info("operators %d to %d: %s", *_ends(segment), error)
                if len(segment.operators) == 1:
                    refused[segment.operators[0]] = str(error)
                else:
                    cuts.add(segment.operators[len(segment.operators) // 2])
        if not failed:
            return Division(parts, {segment: compiled[segment] for segment in parts.segments})


def _ends(segment: Segment) -> tuple[int, int]:
    return segment.operators[0], segment.operators[-1]
