"""What `import npu` offers; see there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import GoldenError
from npu.golden import Comparison
from npu.inference import compare_with_golden, infer
from npu.inputs import Source, load_inputs
from npu.model.graph import Graph, Tensor
from npu.model.tflite_reader import read_model, read_model_bytes
from npu.offload.backends import BackendName
from npu.offload.network import CompiledNetwork
from npu.offload.processor import processor
from npu.offload.result import LayerResult, utilization
from npu.report.roofline import bound_by
from npu.tflite_delegate.delegate import NpuDelegate, delegate
from npu.tflite_delegate.report import DelegateReport
from rtl.config import DEFAULT_PRESET, PRESETS, NpuConfig, load_config
from rtl.errors import NpuError
from sim.disassembly import disassemble_program
from sim.memory import MemoryConfig
from sim.program import Program

__all__ = [
    "PRESETS",
    "Compilation",
    "DelegateReport",
    "Inference",
    "MemoryConfig",
    "Network",
    "NpuConfig",
    "NpuDelegate",
    "NpuError",
    "compile",
    "delegate",
    "load",
    "run",
]

Columns = dict[str, list[Any]]
"""Columns of one length by name, as `pandas.DataFrame` and `polars.DataFrame` take them."""


@dataclass(frozen=True)
class Network:
    """A network.

    Attributes
    ----------
    graph : its tensors and operators, as the file has them.
    """

    graph: Graph

    @property
    def name(self) -> str:
        """The name of the file, without its ending."""
        return self.graph.name

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The input tensors, in the order in which `run` takes them."""
        return tuple(self.graph.tensors[i] for i in self.graph.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The output tensors, in the order in which `run` gives them."""
        return tuple(self.graph.tensors[i] for i in self.graph.outputs)


@dataclass(frozen=True)
class Inference:
    """One run of a network.

    Attributes
    ----------
    outputs : the network's outputs in its order, of its types.
    layers : one for each operator: where it ran and why, MACs, cycles and what they went to.
    cycles : of the NPU; None for a backend without time.
    utilization : useful MACs / (MACs per cycle x cycles), 0 to 1; None without cycles.
    counters : the hardware's events by name; empty for a backend without time.
    comparison : with TFLM, tensor by tensor; None when it was not asked for.
    macs_per_cycle : of the hardware.
    """

    outputs: tuple[NDArray[Any], ...]
    layers: tuple[LayerResult, ...]
    cycles: int | None
    utilization: float | None
    counters: Mapping[str, int]
    comparison: Comparison | None
    macs_per_cycle: int

    @property
    def bit_exact(self) -> bool | None:
        """Whether nothing differs from TFLM; None when nothing was compared."""
        return None if self.comparison is None else self.comparison.bit_exact

    def columns(self) -> Columns:
        """The layers as columns: a row for each operator, None where there is nothing to say."""
        bounds = [bound_by(layer.account)[0] if layer.account else None for layer in self.layers]
        return {
            "index": [layer.index for layer in self.layers],
            "operator": [layer.kind for layer in self.layers],
            "placed": [layer.placed for layer in self.layers],
            "reason": [layer.reason for layer in self.layers],
            "macs": [layer.macs for layer in self.layers],
            "cycles": [layer.cycles for layer in self.layers],
            "utilization": [
                utilization(layer.macs, layer.cycles, self.macs_per_cycle) for layer in self.layers
            ],
            "bound": bounds,
        }


@dataclass(frozen=True)
class Compilation:
    """A network divided between NPU and CPU.

    Attributes
    ----------
    network, config : what was compiled, for which hardware.
    programs : the NPU's part, a program for each run of operators, in execution order.
    reasons : why an operator is left to the CPU, by its index.
    """

    network: Network
    config: NpuConfig
    programs: tuple[Program, ...]
    reasons: Mapping[int, str]

    def columns(self) -> Columns:
        """Where operators run, as columns: a row for each."""
        operators = self.network.graph.operators
        return {
            "index": [op.index for op in operators],
            "operator": [op.kind for op in operators],
            "placed": [
                processor(self.network.graph, op) if op.index in self.reasons else "NPU"
                for op in operators
            ],
            "reason": [self.reasons.get(op.index, "") for op in operators],
            "macs": [self.network.graph.macs(op) for op in operators],
        }

    def listing(self) -> str:
        """The commands of all programs, one per line, as `npu disasm` lists them."""
        return "\n".join(disassemble_program(program) for program in self.programs)


def load(model: str | Path | bytes) -> Network:
    """Read a `.tflite` file, or its bytes.

    Raises
    ------
    NpuError : it is none, or no fully quantized network of static shape.
    """
    if isinstance(model, bytes):
        return Network(read_model_bytes(model, "model"))
    return Network(read_model(model))


def run(
    network: Network,
    inputs: Source | Sequence[Source] = (),
    *,
    config: NpuConfig | str | Path = DEFAULT_PRESET,
    backend: BackendName = "cycle",
    memory: MemoryConfig | None = None,
    check: bool = False,
) -> Inference:
    """Run a network once.

    Parameters
    ----------
    inputs : for each input of the network, in its order, an array (of the input's type, or real
        values in floating point) or what `npu run --input` takes: a file's name or `random:SEED`.
        The last one alone fills all inputs; by default `random:0`.
    config : a hardware configuration, the name of a preset, or a TOML file.
    backend : `reference` (kernels only), `functional` (the command stream), `cycle` (the same with
        its exact cycles) or `rtl` (the hardware in Verilator, which is built at its first use).
    memory : timing of the external memory.
    check : compare every tensor with TensorFlow Lite Micro.

    Raises
    ------
    NpuError : an input or a configuration is refused, or the network cannot be run so.
    """
    if check and not network.graph.file:
        raise GoldenError(f"network {network.name!r} was not read from a file: TFLM cannot run it")
    hardware = _hardware(config)
    sources = [inputs] if isinstance(inputs, str | Path | np.ndarray) else list(inputs)
    values = load_inputs(sources, network.graph)
    result = infer(
        network.graph,
        values,
        config=hardware,
        backend=backend,
        memory=memory,
        keep_intermediates=check,
    )
    comparison = None
    if check:
        comparison = compare_with_golden(
            network.graph, values, result, config=hardware, backend=backend
        )
    return Inference(
        outputs=tuple(result.outputs[i] for i in network.graph.outputs),
        layers=result.layers,
        cycles=result.cycles,
        utilization=result.utilization(hardware.macs_per_cycle),
        counters=result.counters,
        comparison=comparison,
        macs_per_cycle=hardware.macs_per_cycle,
    )


def compile(network: Network, config: NpuConfig | str | Path = DEFAULT_PRESET) -> Compilation:
    """Compile what the NPU takes of a network.

    Parameters
    ----------
    config : a hardware configuration, the name of a preset, or a TOML file.

    Raises
    ------
    NpuError : the configuration is refused, or its memories are too small for all of the network.
    """
    hardware = _hardware(config)
    compiled = CompiledNetwork(network.graph, hardware)
    return Compilation(
        network, hardware, tuple(compiled.programs.values()), compiled.partition.reasons
    )


def _hardware(config: NpuConfig | str | Path) -> NpuConfig:
    return config if isinstance(config, NpuConfig) else load_config(str(config))
