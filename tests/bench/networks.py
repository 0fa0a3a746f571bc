"""The networks that are measured: the shipped one, and public ones where they are at hand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tflite_micro import runtime

from npu import zoo
from npu.inputs import load_inputs
from npu.model.graph import Graph
from npu.model.tflite_reader import read_model
from tests.support.shared_models import FOLDER, INPUTS, MLPERF, NETWORKS
from tests.support.tflm import MIN_ARENA_BYTES

SHIPPED = "fashion_resnet"

MAC_KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class Network:
    """A network by the name of its file."""

    name: str
    path: Path

    @cached_property
    def graph(self) -> Graph:
        """The network, read once. Raises `NpuError` for a file that is not supported."""
        return read_model(self.path)

    @cached_property
    def inputs(self) -> dict[int, NDArray[np.int8]]:
        """A real input where there is one, otherwise random:0, by tensor index."""
        if self.name == SHIPPED:
            images, _, _ = zoo.load_images()
            return {self.graph.inputs[0]: zoo.to_int8(images[:1])}
        key = next((k for k in _keys() if k.startswith(f"{self.name}/")), None)
        return load_inputs([f"{INPUTS}:{key}"] if key is not None else [], self.graph)

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all weights that are multiplied."""
        weights = [
            self.graph.input_tensor(op, 1) for op in self.graph.operators if op.kind in MAC_KINDS
        ]
        return sum(w.size * w.dtype.itemsize for w in weights if w is not None)


def networks(*, quick: bool = False) -> list[Network]:
    """The shipped network and all of the folder of public ones; `quick` leaves out large ones."""
    found = [Network(SHIPPED, zoo.model_path(SHIPPED))]
    present = {path.stem: path for path in sorted(FOLDER.glob("*.tflite"))}
    known = [name for name in NETWORKS if name in present]
    others = [name for name in present if name not in known]
    for name in known if quick else [*known, *others]:
        if not quick or name in MLPERF:
            found.append(Network(name, present[name]))
    return found


def tflm_inference(network: Network) -> Callable[[], None]:
    """A function that runs the network once in TFLM's interpreter."""
    content = network.path.read_bytes()
    arena_bytes = max(MIN_ARENA_BYTES, 10 * len(content))
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena_bytes)
    values = [np.ascontiguousarray(network.inputs[index]) for index in network.graph.inputs]

    def infer() -> None:
        # the arena is reused: inputs are overwritten by every run
        for position, value in enumerate(values):
            interpreter.set_input(value, position)
        interpreter.invoke()

    return infer


def _keys() -> list[str]:
    if not INPUTS.is_file():
        return []
    with np.load(INPUTS) as arrays:
        return list(arrays.files)
