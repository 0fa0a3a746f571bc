"""The delegate: the NPU within the interpreters of TensorFlow Lite and LiteRT.

    interpreter = Interpreter(model_path, experimental_delegates=[npu.delegate(config="npu64")])

An interpreter asks a delegate for no more than the address of a C structure; everything behind it
is Python, called through `npu.tflite_delegate.callbacks`.
"""

import logging
import weakref
from collections.abc import Mapping
from ctypes import addressof
from dataclasses import replace
from pathlib import Path

from npu.compiler.compile import CompilerOptions
from npu.compiler.rules.partition import partition
from npu.compiler.terms.segment import Segment
from npu.errors import DelegateError
from npu.model.graph import Graph
from npu.offload.backends import BackendName
from npu.offload.division import divide
from npu.offload.simulators import Log
from npu.tflite_delegate.abi import (
    ALLOW_DYNAMIC_TENSORS,
    CONSTANT,
    OK,
    TfLiteContext,
    TfLiteDelegate,
    TfLiteDelegateParams,
    make_int_array,
    read_int_array,
    tensor_at,
)
from npu.tflite_delegate.abi_check import AbiError
from npu.tflite_delegate.callbacks import CALLBACKS, CORES, message, registration
from npu.tflite_delegate.claimed import ClaimedSegment
from npu.tflite_delegate.compiled import compiled_programs
from npu.tflite_delegate.execution import Execution, Hardware, execution
from npu.tflite_delegate.graph_reader import LiveGraph, read_graph
from npu.tflite_delegate.report import (
    DelegateReport,
    InterpreterLog,
    InterpreterReport,
    SegmentRecord,
)
from rtl.config import DEFAULT_PRESET, NpuConfig, load_config
from rtl.errors import NpuError
from sim.memory import MemoryConfig
from sim.program import Program

BACKENDS = ("reference", "functional", "cycle", "rtl")
KEPT_INTERPRETERS = 100
"""Of interpreters that have ended so many stay in the report."""

log = logging.getLogger(__name__)


class NpuDelegate:
    """What `Interpreter(..., experimental_delegates=[...])` takes; for any number of interpreters.

    Parameters
    ----------
    hardware : what segments run on.

    Raises
    ------
    NpuError : the simulator cannot be built.
    """

    def __init__(self, hardware: Hardware) -> None:
        self._core = _Core(hardware)
        self._native = TfLiteDelegate()
        self._native.Prepare = CALLBACKS.prepare_delegate
        self._native.flags = ALLOW_DYNAMIC_TENSORS
        self._core.native = self._native
        CORES[addressof(self._native)] = self._core
        # the structure stays, what was counted need not
        weakref.finalize(self, self._core.logs.clear)

    def _get_native_delegate_pointer(self) -> int:
        return addressof(self._native)

    def report(self) -> DelegateReport:
        """What it has taken from its interpreters until now, and what that cost."""
        return self._core.report()


def delegate(
    config: NpuConfig | str | Path = DEFAULT_PRESET,
    backend: BackendName = "cycle",
    memory: MemoryConfig | None = None,
    log: Log | None = None,
) -> NpuDelegate:
    """A delegate for the interpreters of `ai_edge_litert` and `tf.lite`.

    Parameters
    ----------
    config : a hardware configuration, the name of a preset, or a TOML file.
    backend : `reference` (kernels only), `functional` (the command stream), `cycle` (the same with
        its exact cycles) or `rtl` (the hardware in Verilator, which is built at its first use).
    memory : timing of the external memory.
    log : called with one line about each step of building a simulator.

    Raises
    ------
    NpuError : a configuration or a backend is refused, or the simulator cannot be built.
    """
    if backend not in BACKENDS:
        raise DelegateError(f"backend is {backend!r}; allowed are {', '.join(BACKENDS)}")
    chosen = config if isinstance(config, NpuConfig) else load_config(str(config))
    return NpuDelegate(Hardware(chosen, backend, memory or MemoryConfig(), log))


class _Core:
    """What a delegate does; it outlives the delegate as its interpreters do."""

    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware
        self.native: TfLiteDelegate | None = None
        self.logs: list[InterpreterLog] = []
        self._simulate = hardware.simulator()
        self._count = 0
        self._warned = False
        self._live: dict[int, _Subgraph] = {}
        self._owners: dict[ClaimedSegment, InterpreterLog] = {}

    def claim(self, context_address: int, delegate_address: int) -> int:
        try:
            live = read_graph(context_address)
        except AbiError as error:
            self._warn(
                f"this interpreter is none that the delegate knows, it takes nothing: {error}"
            )
            return OK
        compiled = compiled_programs(live.graph, self.hardware)
        try:
            subgraph = self._divide(live, compiled)
        except NpuError as error:
            self._warn(f"{message(error)}; the delegate takes nothing")
            return OK
        self._live[context_address] = subgraph
        try:
            context = TfLiteContext.from_address(context_address)
            for segment in subgraph.segments:
                # one by one, so that the interpreter divides them no further
                nodes = make_int_array(segment)
                status = int(
                    context.ReplaceNodeSubsetsWithDelegateKernels(
                        context_address, registration(), addressof(nodes), delegate_address
                    )
                )
                if status != OK:
                    return status
        finally:
            del self._live[context_address]
        return OK

    def _warn(self, text: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning("%s", text)

    def _divide(self, live: LiveGraph, compiled: Mapping[int, Program]) -> "_Subgraph":
        graph, config = live.graph, self.hardware.config
        programs: Mapping[Segment, Program] = {}
        if self.hardware.backend == "reference":
            parts = partition(graph, config, refused=live.refused)
        else:
            division = divide(graph, config, CompilerOptions(), live.refused)
            parts, programs = division.partition, division.programs
        reasons = {i: reason for i, reason in parts.reasons.items() if i not in compiled}
        taken = [op for op in graph.operators if op.index not in reasons]
        inside = sum(program.macs for program in compiled.values())
        report = InterpreterReport(
            interpreter=self._count,
            operators=len(graph.operators),
            npu_operators=len(taken),
            macs=graph.total_macs + inside,
            npu_macs=sum(graph.macs(op) for op in taken) + inside,
            reasons=reasons,
        )
        segments = [segment.operators for segment in parts.segments]
        segments += [(index,) for index in compiled]
        order = {op.index: place for place, op in enumerate(graph.operators)}
        segments.sort(key=lambda operators: order[operators[0]])
        ended = [one for one in self.logs if one not in self._owners.values()]
        for old in ended[: max(0, len(ended) - KEPT_INTERPRETERS)]:
            self.logs.remove(old)
        self.logs.append(InterpreterLog(self._count, report))
        self._count += 1
        return _Subgraph(live, tuple(segments), programs, compiled, self.logs[-1])

    def make_segment(self, context_address: int, params: TfLiteDelegateParams) -> ClaimedSegment:
        subgraph = self._live[context_address]
        operators = read_int_array(params.nodes_to_replace)
        context = TfLiteContext.from_address(context_address)
        inputs = [
            i
            for i in read_int_array(params.input_tensors)
            if i >= 0 and tensor_at(context, i).allocation_type != CONSTANT
        ]
        graph = subgraph.cut(operators, inputs, read_int_array(params.output_tensors))
        program = subgraph.program(operators, graph)

        def make(resized: Graph) -> Execution:
            given = program if resized is graph else None
            return execution(resized, self.hardware, self._simulate, given)

        record = SegmentRecord(subgraph.log, operators, tuple(op.kind for op in graph.operators))
        made = ClaimedSegment(
            graph,
            make,
            record,
            computed=subgraph.computed,
            fixed=operators[0] in subgraph.compiled,
        )
        self._owners[made] = subgraph.log
        return made

    def freed(self, segment: ClaimedSegment) -> None:
        self._owners.pop(segment, None)

    def report(self) -> DelegateReport:
        width = self.hardware.config.macs_per_cycle
        return DelegateReport(
            backend=self.hardware.backend,
            config_id=self.hardware.config.config_id,
            macs_per_cycle=width,
            interpreters=tuple(one.division for one in self.logs),
            segments=tuple(s.report(width) for one in self.logs for s in one.segments),
            invokes=tuple(invoke for one in self.logs for invoke in one.invokes(width)),
        )


class _Subgraph:
    """A subgraph of an interpreter while its operators are handed over."""

    def __init__(
        self,
        live: LiveGraph,
        segments: tuple[tuple[int, ...], ...],
        programs: Mapping[Segment, Program],
        compiled: Mapping[int, Program],
        log: InterpreterLog,
    ) -> None:
        self.graph, self.computed = live.graph, live.computed
        self.segments, self.compiled, self.log = segments, compiled, log
        self._programs = programs

    def cut(self, operators: tuple[int, ...], given: list[int], outputs: tuple[int, ...]) -> Graph:
        """The segment of `operators` as a graph of its own.

        `given` and `outputs` are what the interpreter says crosses its border, in no order that
        matters; of `given`, what the reader has evaluated is a constant here.
        """
        chosen = [op for op in self.graph.operators if op.index in operators]
        read = dict.fromkeys(t for op in chosen for t in op.present_inputs)
        inputs = [t for t in read if t in given and not self.graph.tensors[t].is_constant]
        made = [t for op in chosen for t in op.outputs if t in outputs]
        if operators[0] in self.compiled:
            # its arena belongs to nobody else
            made = [t for t in made if t != chosen[0].outputs[-1]]
        return replace(
            self.graph, operators=tuple(chosen), inputs=tuple(inputs), outputs=tuple(made)
        )

    def program(self, operators: tuple[int, ...], graph: Graph) -> Program | None:
        """The program of exactly the segment that was `cut`, if it is compiled."""
        if operators[0] in self.compiled:
            return self.compiled[operators[0]]
        return self._programs.get(Segment(operators, graph.inputs, graph.outputs))
