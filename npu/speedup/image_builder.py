"""Collects operators and constants of a network image, plans its arena and lays it out."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from npu.allocation import Request, allocate
from npu.errors import SpeedupError
from sim.soc.firmware import image_format
from sim.soc.firmware.image_format import Kind, pack_record, record_bytes
from sim.soc.memory_map import ARENA_LIMIT, IMAGE_BYTES, RESULTS_BYTES

NPU_ALIGNMENT = 64
"""Bytes to which everything that the NPU reads or writes is aligned, so that bursts are."""
CACHE_STAGGER = 96
"""Bytes between buffers, so that tensors of whole kibibytes do not share the lines of a small
direct-mapped cache; without it, an ADD of two of them misses on every access."""


@dataclass(frozen=True, slots=True)
class Place:
    """`offset` bytes into the arena buffer `key`."""

    key: Hashable
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Constant:
    """Bytes at `offset` of the image."""

    offset: int


Value = int | Place | Constant


@dataclass(frozen=True)
class Step:
    """An operator of the image; the values of its parameters become references."""

    kind: Kind
    network_operator: int
    parameters: Mapping[str, Value]

    def places(self) -> set[Hashable]:
        """The buffers that it reads or writes."""
        return {value.key for value in self.parameters.values() if isinstance(value, Place)}


@dataclass
class ImageBuilder:
    """An image under construction.

    Parameters
    ----------
    alignment : bytes to which constants and arena buffers are aligned.
    """

    alignment: int = image_format.ALIGNMENT
    steps: list[Step] = field(default_factory=list)
    _data: bytearray = field(default_factory=bytearray)
    _known: dict[bytes, Constant] = field(default_factory=dict)
    _sizes: dict[Hashable, int] = field(default_factory=dict)
    _inputs: list[tuple[int, Constant, Place, int]] = field(default_factory=list)
    _outputs: list[tuple[int, Place, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._append(bytes(record_bytes(image_format.HEADER)))

    def constant(self, value: NDArray[np.generic]) -> Constant:
        """Put an array into the image; equal bytes are stored once."""
        data = np.ascontiguousarray(value).tobytes()
        if data not in self._known:
            self._known[data] = Constant(self._append(data))
        return self._known[data]

    def buffer(self, key: Hashable, size: int) -> Place:
        """A buffer of `size` bytes in the arena; the same again for a known key."""
        self._sizes.setdefault(key, size)
        return Place(key)

    def add(self, kind: Kind, network_operator: int, parameters: Mapping[str, Value]) -> None:
        """Append an operator."""
        self.steps.append(Step(kind, network_operator, parameters))

    def input(self, tensor: int, value: NDArray[np.int8], place: Place) -> None:
        """Have `value` copied to `place` before the first operator."""
        self._inputs.append((tensor, self.constant(value), place, value.size))

    def output(self, tensor: int, place: Place, size: int) -> None:
        """Keep `size` bytes at `place` to the end."""
        self._outputs.append((tensor, place, size))

    def finish(self) -> bytes:
        """The image.

        Raises
        ------
        SpeedupError : it is larger than one of the SoC's memories.
        """
        table_room = RESULTS_BYTES - record_bytes(image_format.RESULTS)
        most = table_room // record_bytes(image_format.OPERATOR_RESULT)
        if len(self.steps) > most:
            raise SpeedupError(f"the network has {len(self.steps)} operators, {most} are possible")
        addresses, arena_bytes = self._plan()
        if arena_bytes > ARENA_LIMIT:
            raise SpeedupError(
                f"the network's tensors take {arena_bytes} bytes of RAM, the bench SoC has"
                f" {ARENA_LIMIT} for them"
            )
        header = {
            "magic": image_format.IMAGE_MAGIC,
            "version": image_format.IMAGE_VERSION,
            "arena_bytes": arena_bytes,
            "operator_count": len(self.steps),
            "operators": self._append(self._operator_table(addresses)),
            "input_count": len(self._inputs),
            "inputs": self._append(self._input_table(addresses)),
            "output_count": len(self._outputs),
            "outputs": self._append(self._output_table(addresses)),
        }
        header["bytes"] = len(self._data)
        if len(self._data) > IMAGE_BYTES:
            raise SpeedupError(
                f"the network image is {len(self._data)} bytes, the bench SoC has {IMAGE_BYTES}"
            )
        self._data[: record_bytes(image_format.HEADER)] = pack_record(image_format.HEADER, header)
        return bytes(self._data)

    def _append(self, data: bytes) -> int:
        offset = len(self._data)
        self._data += data
        self._data += bytes(-len(self._data) % self.alignment)
        return offset

    def _plan(self) -> tuple[dict[Hashable, int], int]:
        """Arena offsets by buffer: every buffer from its first use to its last."""
        lives: dict[Hashable, tuple[int, int]] = {}
        uses = [(-1, {place.key for _, _, place, _ in self._inputs})]
        uses += [(number, step.places()) for number, step in enumerate(self.steps)]
        uses.append((len(self.steps), {place.key for _, place, _ in self._outputs}))
        for number, keys in uses:
            for key in keys:
                lives[key] = (lives.get(key, (number, number))[0], number)
        requests = [
            Request(key, size + CACHE_STAGGER, *lives[key])
            for key, size in self._sizes.items()
            if key in lives
        ]
        return allocate(requests, self.alignment)

    def _operator_table(self, addresses: Mapping[Hashable, int]) -> bytes:
        table = b""
        for step in self.steps:
            values = {name: _reference(v, addresses) for name, v in step.parameters.items()}
            fields = image_format.PARAMETERS[step.kind]
            table += pack_record(
                image_format.OPERATOR,
                {
                    "kind": int(step.kind),
                    "network_operator": step.network_operator,
                    "parameters": self._append(pack_record(fields, values)),
                    "parameter_bytes": record_bytes(fields),
                },
            )
        return table

    def _input_table(self, addresses: Mapping[Hashable, int]) -> bytes:
        return b"".join(
            pack_record(
                image_format.INPUT,
                {
                    "tensor": tensor,
                    "source": source.offset,
                    "target": _reference(place, addresses),
                    "bytes": size,
                },
            )
            for tensor, source, place, size in self._inputs
        )

    def _output_table(self, addresses: Mapping[Hashable, int]) -> bytes:
        return b"".join(
            pack_record(
                image_format.OUTPUT,
                {"tensor": tensor, "source": _reference(place, addresses), "bytes": size},
            )
            for tensor, place, size in self._outputs
        )


def _reference(value: Value, addresses: Mapping[Hashable, int]) -> int:
    if isinstance(value, Place):
        return addresses[value.key] + value.offset
    return ~value.offset if isinstance(value, Constant) else value
