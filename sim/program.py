"""A compiled program: everything that an NPU or a simulator of it needs to run a network segment.

The file format is an `.npz` archive with `metadata` (JSON), `commands` and `constants`.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.config import NpuConfig
from rtl.errors import ConfigError, EncodingError
from rtl.isa import Command, decode_all
from sim.errors import ProgramError

PROGRAM_FORMAT = "npu-program"
MAX_ARENA_BYTES = 1 << 32
PROGRAM_VERSION = 1

ARENA_TYPES = ("int8", "uint8")
"""Types of tensors in the arena. Bytes alike to the hardware, to which all numbers are signed."""


@dataclass(frozen=True)
class TensorBinding:
    """A tensor in the arena: dense, NHWC, little-endian.

    Parameters
    ----------
    name : the tensor's name in the network.
    tensor_index : its index in the network's subgraph.
    offset : byte offset in the arena.
    shape : as the network has it, batch included.
    dtype : one of `ARENA_TYPES`.

    Raises
    ------
    ProgramError : a negative offset, a shape that is not positive, another dtype.
    """

    name: str
    tensor_index: int
    offset: int
    shape: tuple[int, ...]
    dtype: str = "int8"

    def __post_init__(self) -> None:
        if self.dtype not in ARENA_TYPES:
            allowed = " or ".join(ARENA_TYPES)
            raise ProgramError(
                f"tensor {self.name!r} must be {allowed} in the arena, got {self.dtype}"
            )
        if self.offset < 0 or any(extent <= 0 for extent in self.shape):
            raise ProgramError(
                f"tensor {self.name!r} needs a non-negative offset and positive extents,"
                f" got {self.offset} and {list(self.shape)}"
            )

    @property
    def size(self) -> int:
        """Bytes that the tensor occupies."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ProgramLayer:
    """Which commands belong to an operator of the network.

    Parameters
    ----------
    operator_index : the operator's index in the network's subgraph.
    kind : the operator's name, such as `CONV_2D`.
    macs : useful multiply-accumulates of the operator, without padding of lanes.
    compute_commands : indices in the stream of the commands that compute it.
    """

    operator_index: int
    kind: str
    macs: int
    compute_commands: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Program:
    """A self-contained program for one hardware configuration.

    Parameters
    ----------
    config : the hardware that it was compiled for.
    commands : the command stream in 64-bit beats, uint64 `[beats]`.
    constants : region CONSTANTS, uint8 `[bytes]`.
    arena_bytes : size of region ARENA.
    inputs, outputs : tensors that are written before and read after a run.
    tensors : all tensors of the network that the arena holds at the end of a run.
    layers : commands by operator.

    Raises
    ------
    ProgramError : arrays of the wrong type, or a tensor outside the arena.
    """

    config: NpuConfig
    commands: NDArray[np.uint64]
    constants: NDArray[np.uint8]
    arena_bytes: int
    inputs: tuple[TensorBinding, ...]
    outputs: tuple[TensorBinding, ...]
    tensors: tuple[TensorBinding, ...] = ()
    layers: tuple[ProgramLayer, ...] = ()

    def __post_init__(self) -> None:
        for name, dtype in (("commands", np.uint64), ("constants", np.uint8)):
            array = getattr(self, name)
            if array.ndim != 1 or array.dtype != dtype:
                raise ProgramError(
                    f"{name} must be {np.dtype(dtype).name} [n],"
                    f" got {array.dtype} {list(array.shape)}"
                )
            frozen = array.copy()
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)
        for name in ("inputs", "outputs", "tensors", "layers"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not 0 <= self.arena_bytes <= MAX_ARENA_BYTES:
            raise ProgramError(
                f"arena_bytes must be from 0 to {MAX_ARENA_BYTES}, what offsets of 32 bits"
                f" reach, got {self.arena_bytes}"
            )
        for binding in (*self.inputs, *self.outputs, *self.tensors):
            if binding.offset + binding.size > self.arena_bytes:
                raise ProgramError(
                    f"tensor {binding.name!r} ends at byte {binding.offset + binding.size}"
                    f" of an arena of {self.arena_bytes}"
                )

    @property
    def macs(self) -> int:
        """Useful multiply-accumulates of all operators."""
        return sum(layer.macs for layer in self.layers)

    def decode(self) -> list[Command]:
        """The command stream as commands.

        Raises
        ------
        ProgramError : the stream is malformed.
        """
        try:
            return decode_all(self.commands)
        except EncodingError as error:
            raise ProgramError(f"malformed command stream: {error}") from None

    def save(self, path: str | Path) -> None:
        """Write the program to exactly `path` (no suffix is added).

        Raises
        ------
        ProgramError : the file cannot be written.
        """
        metadata = {
            "format": PROGRAM_FORMAT,
            "version": PROGRAM_VERSION,
            "config": self.config.to_dict(),
            "config_id": self.config.config_id,
            "arena_bytes": self.arena_bytes,
            **{
                name: [dataclasses.asdict(item) for item in getattr(self, name)]
                for name in ("inputs", "outputs", "tensors", "layers")
            },
        }
        try:
            with open(path, "wb") as file:
                np.savez_compressed(
                    file,
                    metadata=np.frombuffer(json.dumps(metadata).encode(), dtype=np.uint8),
                    commands=self.commands,
                    constants=self.constants,
                )
        except OSError as error:
            raise ProgramError(f"cannot write program {path}: {error.strerror}") from None

    @classmethod
    def load(cls, path: str | Path) -> "Program":
        """Read a program that `save` wrote.

        Raises
        ------
        ProgramError : an unreadable or corrupted file, another version, or a hardware
            configuration whose id has changed since the program was compiled.
        """
        try:
            # numpy leaves a file open that it opened itself and cannot read
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
                metadata = json.loads(archive["metadata"].tobytes())
                commands, constants = archive["commands"], archive["constants"]
        except OSError as error:
            reason = error.strerror or "damaged archive"
            raise ProgramError(f"cannot read program {path}: {reason}") from None
        # libraries raise what they please: BadZipFile, zlib.error, LZMAError, TokenError, ...
        except Exception as error:
            raise ProgramError(f"{path} is not a program file: {_reason(error)}") from None
        if not isinstance(metadata, dict) or metadata.get("format") != PROGRAM_FORMAT:
            raise ProgramError(f"{path} is not a program file: its metadata names another format")
        version = metadata.get("version")
        if version != PROGRAM_VERSION:
            raise ProgramError(
                f"{path} has program version {version!r}, this tool reads {PROGRAM_VERSION}"
            )
        try:
            program = _from_metadata(metadata, commands, constants)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ProgramError(f"{path} has damaged metadata: {_reason(error)}") from None
        except ConfigError as error:
            raise ProgramError(f"{path} has an illegal configuration: {error}") from None
        if program.config.config_id != metadata.get("config_id"):
            raise ProgramError(
                f"{path} was compiled for configuration id {metadata.get('config_id')},"
                f" which this tool now numbers {program.config.config_id}; compile it again"
            )
        return program


def _reason(error: Exception) -> str:
    text = str(error).splitlines()
    return f"{type(error).__name__}" + (f" ({text[0]})" if text else "")


def _binding(item: dict[str, Any]) -> TensorBinding:
    return TensorBinding(**{**item, "shape": tuple(int(extent) for extent in item["shape"])})


def _layer(item: dict[str, Any]) -> ProgramLayer:
    commands = tuple(int(index) for index in item["compute_commands"])
    return ProgramLayer(**{**item, "compute_commands": commands})


def _from_metadata(
    metadata: dict[str, Any], commands: NDArray[Any], constants: NDArray[Any]
) -> Program:
    return Program(
        config=NpuConfig.from_dict(metadata["config"]),
        commands=commands,
        constants=constants,
        arena_bytes=int(metadata["arena_bytes"]),
        inputs=tuple(_binding(item) for item in metadata["inputs"]),
        outputs=tuple(_binding(item) for item in metadata["outputs"]),
        tensors=tuple(_binding(item) for item in metadata["tensors"]),
        layers=tuple(_layer(item) for item in metadata["layers"]),
    )
