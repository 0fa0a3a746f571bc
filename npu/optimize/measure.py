"""What a network costs and how well it does: one row of the report."""

import logging
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernels.requantize import Rounding
from npu.errors import OptimizeError
from npu.inputs import INTEGER_RANGES, quantize_input
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model_bytes
from npu.offload.network import CompiledNetwork
from npu.optimize.choices import Granularity
from npu.optimize.data import Split
from npu.optimize.granularity import Groups, group_sparsity
from npu.optimize.weights import find_weights
from npu.reference.network import PreparedNetwork
from rtl.config import NpuConfig
from rtl.isa import Destination, Opcode
from sim.cycle import simulate
from sim.memory import MemoryConfig
from sim.program import Program

LOG = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

NOT_WEIGHTS = frozenset(
    {Destination.SCRATCHPAD, Destination.PARAMETERS, Destination.TABLE, Destination.BIASES}
)


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """One stage of a run, measured.

    Attributes
    ----------
    stage : its name. file : of the network in the output folder.
    float_accuracy, int8_accuracy : on held-out data, 0 to 1; None where it was not measured.
    file_bytes : of the `.tflite`. compressed_bytes : of the same file through zlib.
    stream_bytes : of weights that the compiled programs load in one inference; None without one.
    sparsity : share of weights of CONV_2D and FULLY_CONNECTED that are zero, 0 to 1.
    word_sparsity : share of the grid's words that are all zero, 0 to 1.
    values : the greatest number of distinct codes that a weight tensor has.
    macs : useful multiply-accumulates of the network, zero weights included.
    cycles : of the NPU, by the cycle model; of operators on the CPU there is nothing in it. None
        where the NPU runs nothing.
    on_npu, operators : how many operators the NPU runs, of how many.
    cpu_cycles : of the fastest CPU without an NPU; see `npu.optimize.cpu`. cpu_measured : whether
        they were measured, not estimated.
    seconds : that the stage took.
    """

    stage: str
    file: str
    float_accuracy: float | None
    int8_accuracy: float | None
    file_bytes: int
    compressed_bytes: int
    stream_bytes: int | None
    sparsity: float
    word_sparsity: float
    values: int
    macs: int
    cycles: int | None
    on_npu: int
    operators: int
    cpu_cycles: int | None = None
    cpu_measured: bool = False
    seconds: float = 0.0


def measure(
    content: bytes,
    config: NpuConfig,
    *,
    stage: str,
    file: str,
    held_out: Split | None = None,
    float_accuracy: float | None = None,
    memory: MemoryConfig | None = None,
    progress: Progress | None = None,
    seconds: float = 0.0,
) -> StageResult:
    """Compile and time a network on `config`, and run it on held-out data.

    Parameters
    ----------
    content : a `.tflite` file.
    held_out : what the accuracy is measured on, by the kernels that are bit-exact with TFLM.
    progress : called with samples done and samples in total.

    Raises
    ------
    NpuError : the file is no network that runs, or the data do not fit it.
    """
    graph = read_model_bytes(content, stage)
    network = CompiledNetwork(graph, config)
    programs = list(network.programs.values())
    timing = memory or MemoryConfig()
    layers = find_weights(graph)
    words = Groups.of(Granularity.WORD, config)
    weights = sum(layer.codes.size for layer in layers)
    zeros = sum(int(np.count_nonzero(layer.codes == 0)) for layer in layers)
    sizes = [words.energies(layer.codes).size for layer in layers]
    empty = [group_sparsity(layer.codes, words) for layer in layers]
    return StageResult(
        stage=stage,
        file=file,
        float_accuracy=float_accuracy,
        int8_accuracy=None if held_out is None else accuracy(graph, held_out, progress),
        file_bytes=len(content),
        compressed_bytes=len(zlib.compress(content, 9)),
        stream_bytes=sum(map(weight_stream_bytes, programs)) if programs else None,
        sparsity=zeros / weights if weights else 0.0,
        word_sparsity=float(np.average(empty, weights=sizes)) if sizes else 0.0,
        values=max((len(np.unique(layer.codes)) for layer in layers), default=0),
        macs=graph.total_macs,
        cycles=sum(simulate(p, timing).cycles for p in programs) if programs else None,
        on_npu=len(graph.operators) - len(network.partition.reasons),
        operators=len(graph.operators),
        seconds=seconds,
    )


def weight_stream_bytes(program: Program) -> int:
    """Bytes of external memory that the program's LOADs of weights read.

    All that is neither activations nor parameters nor the table of functions.
    """
    return sum(
        command.fields["rows"] * command.fields["row_bytes"]
        for command in program.decode()
        if command.opcode == Opcode.LOAD and command.fields["destination"] not in NOT_WEIGHTS
    )


def accuracy(graph: Graph, data: Split, progress: Progress | None = None) -> float:
    """Share of samples, 0 to 1, for which the first output is greatest at the label.

    Raises
    ------
    OptimizeError : the network has several inputs, or samples or labels do not fit it.
    """
    inputs = quantized_samples(graph, data)
    classes = graph.tensors[graph.outputs[0]].size
    data.check_labels(classes)
    network = PreparedNetwork(graph, rounding=Rounding.DOUBLE)
    right = 0
    for number, (sample, label) in enumerate(zip(inputs, data.y, strict=True)):
        scores = network.run({graph.inputs[0]: sample})[graph.outputs[0]]
        right += int(np.argmax(scores)) == int(label)
        if progress is not None and number % 100 == 99:
            progress(number + 1, len(data.y))
    return right / max(len(data.y), 1)


def quantized_samples(graph: Graph, data: Split) -> NDArray[np.generic]:
    """The samples in the type and shape of the network's one input, `[n, *input shape]`."""
    if len(graph.inputs) != 1:
        raise OptimizeError(f"the network has {len(graph.inputs)} inputs, one expected")
    tensor = graph.tensors[graph.inputs[0]]
    data.check_shape(tensor.shape[1:])
    samples = data.x.reshape(len(data.x), *tensor.shape)
    return quantize_input(samples, tensor) if tensor.dtype in INTEGER_RANGES else samples
