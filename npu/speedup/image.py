"""The network image that the bench SoC's firmware runs, and what a run of it leaves in RAM.

The format is described in `sim/soc/firmware/README.md`.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.compiler.terms.segment import Segment
from npu.embedded.payload import encode_segment
from npu.errors import SpeedupError
from npu.model.graph import Graph, Operator
from npu.offload.network import CompiledNetwork
from npu.speedup import image_functions, image_movement, image_windows
from npu.speedup.image_builder import NPU_ALIGNMENT, ImageBuilder, Place
from npu.speedup.image_copy import copy_parameters, stand_in
from npu.speedup.image_writer import Translation, Writer, refuse
from sim.program import Program, TensorBinding
from sim.soc.firmware import image_format
from sim.soc.firmware.image_format import ALIGNMENT, Kind, record_bytes, unpack_record
from sim.soc.memory_map import ARENA_BASE, RAM_BASE, ExitCode

_TRANSLATIONS: dict[str, Translation] = {
    **image_windows.TRANSLATIONS,
    **image_functions.TRANSLATIONS,
    **image_movement.TRANSLATIONS,
}

FIRMWARE_KINDS: tuple[str, ...] = tuple(sorted(_TRANSLATIONS))
"""The operator kinds that the firmware runs on the CPU."""


@dataclass(frozen=True)
class OperatorTiming:
    """An operator of the image: its kind, the network's operator it belongs to, and cycles.

    `cycles` are the CPU's from before to after it, `npu_cycles` the NPU's own count of them (0 for
    operators on the CPU).
    """

    kind: Kind
    network_operator: int
    cycles: int
    npu_cycles: int


@dataclass(frozen=True)
class RunResults:
    """What the firmware reports: cycles of the whole network, bytes of arena, each operator."""

    exit_code: ExitCode
    failed_operator: int
    cycles: int
    arena_bytes: int
    operators: tuple[OperatorTiming, ...]


def network_image(
    graph: Graph,
    inputs: Mapping[int, NDArray[Any]],
    network: CompiledNetwork | None = None,
) -> bytes:
    """The image of `graph` with its inputs; a pure function of its arguments.

    Parameters
    ----------
    graph : the network.
    inputs : every input by tensor index, int8.
    network : its division between CPU and NPU, or None for the CPU alone. Tensors that cross the
        border lie in the arena region of the NPU's program, and are copied only when they are in
        two of them.

    Raises
    ------
    UnsupportedOperatorError : an operator that the firmware cannot run on the CPU.
    ModelError : parameters that no kernel accepts.
    SpeedupError : the SoC's memories are too small, or the NPU rounds otherwise than the firmware.
    """
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype != np.int8:
            raise SpeedupError(
                f"the network's input {tensor.name!r} is {tensor.type_name}, the firmware takes "
                "int8 only; convert the network with int8 inputs"
            )
    programs = {} if network is None else network.programs
    if network is not None and network.config.rounding != "double":
        raise SpeedupError(
            f"the NPU's rounding is {network.config.rounding!r}, the firmware's is 'double'"
        )
    w = Writer(graph, ImageBuilder(NPU_ALIGNMENT if programs else ALIGNMENT))
    starts = {segment.operators[0]: segment for segment in programs}
    on_npu = {index for segment in programs for index in segment.operators}
    _bind(w, programs)
    for op in graph.operators:
        if op.index in starts:
            segment = starts[op.index]
            _npu(w, segment, programs[segment])
        elif op.index not in on_npu:
            _on_cpu(w, op)
    for index in graph.inputs:
        w.builder.input(index, inputs[index], w.place(index))
    for index in dict.fromkeys(graph.outputs):
        w.builder.output(index, w.place(index), graph.tensors[index].size)
    return w.builder.finish()


def read_outputs(graph: Graph, image: bytes, ram: NDArray[np.uint8]) -> dict[int, NDArray[Any]]:
    """The network's outputs by tensor index, from the RAM (from its first byte on) after a run."""
    header = unpack_record(image_format.HEADER, image)
    found = {}
    for i in range(header["output_count"]):
        offset = header["outputs"] + i * record_bytes(image_format.OUTPUT)
        entry = unpack_record(image_format.OUTPUT, image, offset)
        start = ARENA_BASE - RAM_BASE + entry["source"]
        tensor = graph.tensors[entry["tensor"]]
        value = ram[start : start + entry["bytes"]].view(tensor.dtype).copy()
        found[tensor.index] = value.reshape(tensor.shape)
    return found


def read_results(ram: NDArray[np.uint8]) -> RunResults:
    """The firmware's results, from the RAM (from its first byte on) after a run.

    Raises
    ------
    SpeedupError : the firmware has not written them.
    """
    data = ram.data
    header = unpack_record(image_format.RESULTS, data)
    if header["magic"] != image_format.RESULTS_MAGIC:
        raise SpeedupError("the firmware left no results: it did not run to its end")
    try:
        operators = tuple(
            _timing(data, header["operators"] - RAM_BASE, i)
            for i in range(header["operator_count"])
        )
        code = ExitCode(header["exit_code"])
    except (struct.error, ValueError) as error:
        raise SpeedupError(f"the firmware's results are damaged: {error}") from None
    return RunResults(
        exit_code=code,
        failed_operator=header["failed_operator"],
        cycles=header["cycles_high"] << 32 | header["cycles_low"],
        arena_bytes=header["arena_bytes"],
        operators=operators,
    )


def _timing(data: memoryview, table: int, index: int) -> OperatorTiming:
    offset = table + index * record_bytes(image_format.OPERATOR_RESULT)
    entry = unpack_record(image_format.OPERATOR_RESULT, data, offset)
    return OperatorTiming(
        Kind(entry["kind"]), entry["network_operator"], entry["cycles"], entry["npu_cycles"]
    )


def _on_cpu(w: Writer, op: Operator) -> None:
    if op.kind not in _TRANSLATIONS:
        raise refuse(op, f"it has no kernel for that; it has {', '.join(FIRMWARE_KINDS)}")
    for index in (op.inputs[:1] if op.kind != "SPLIT" else op.inputs[1:]) + op.outputs:
        tensor = w.graph.tensors[index]
        if tensor.dtype != np.int8:
            raise refuse(op, f"tensor {tensor.name!r} is {tensor.dtype.name}, not int8")
    _TRANSLATIONS[op.kind](w, op)


def _bind(w: Writer, programs: Mapping[Segment, Program]) -> None:
    """Have tensors at the border of segments lie where the NPU's programs want them.

    What a segment produces lies in that segment's arena; an input of several segments in that of
    the first.
    """
    for segment, program in programs.items():
        w.builder.buffer(segment, program.arena_bytes)
        for binding in program.outputs:
            w.homes[binding.tensor_index] = Place(segment, binding.offset)
    for segment, program in programs.items():
        for binding in program.inputs:
            w.homes.setdefault(binding.tensor_index, Place(segment, binding.offset))


def _npu(w: Writer, segment: Segment, program: Program) -> None:
    for binding in program.inputs:
        _hand_over(w, segment, binding)
    data = np.frombuffer(encode_segment(program, NPU_ALIGNMENT), np.uint8)
    w.builder.add(
        Kind.NPU,
        segment.operators[0],
        {
            "segment": w.builder.constant(data),
            "segment_bytes": data.nbytes,
            "arena": Place(segment),
            "arena_bytes": program.arena_bytes,
        },
    )


def _hand_over(w: Writer, segment: Segment, binding: TensorBinding) -> None:
    """Copy an input of a segment that lies somewhere else."""
    wanted = Place(segment, binding.offset)
    source = w.place(binding.tensor_index)
    if source != wanted:
        view = stand_in((binding.size,))
        copied = copy_parameters(source, view, wanted, view)
        w.builder.add(Kind.COPY, segment.operators[0], copied)
