"""What LOAD and STORE do, written down from ARCHITECTURE.md byte by byte."""

from dataclasses import dataclass

import numpy as np

from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import ADDRESS_BITS, Command, Destination, Tables
from sim.weight_stream import Encoding, decode_weights

ADDRESS_MASK = (1 << ADDRESS_BITS) - 1


@dataclass(frozen=True)
class Write:
    """One word that a LOAD writes; biases are PARAMETERS, elsewhere `plane` is zero.

    Bit k of `enable`: byte k is written; the others are zero in `data`.
    """

    destination: Destination
    address: int
    plane: int
    data: bytes
    enable: int


def load(config: NpuConfig, command: Command, region: bytes) -> list[Write]:
    """The words that a legal LOAD writes, in order; `region` holds the region's bytes."""
    destination = Destination(command["destination"])
    if destination == Destination.ENCODED:
        return _load_encoded(command, region)
    pad = bytes([command["pad_value"] & 0xFF])
    memory = Destination.PARAMETERS if destination == Destination.BIASES else destination
    planes = {Destination.PARAMETERS: PARAMETER_BYTES, Destination.BIASES: BIAS_BYTES}
    writes = []
    for r in range(command["rows"]):
        start = command["offset"] + r * command["row_stride"]
        row = pad * command["pad_left"] + region[start : start + command["row_bytes"]]
        for i in range(command["pixels"]):
            first = i * command["pixel_step"]
            size = command["pixel_bytes"]
            pixel = row[first : first + size]
            pixel = pixel.ljust(size, pad)
            ahead, vector_bytes = command["lane_offset"], command["pixel_words"] * config.lanes
            rest = vector_bytes - ahead - size
            enable = (1 << size) - 1 << ahead if command["merge"] else (1 << vector_bytes) - 1
            pixel = bytes(ahead) + pixel + (bytes(rest) if command["merge"] else pad * rest)
            for j in range(command["pixel_words"]):
                address, plane = command["base"] + i, 0
                if destination in (Destination.SCRATCHPAD, Destination.WEIGHTS):
                    address += j * command["plane_pitch"] + r * command["row_pitch"]
                elif destination in planes:
                    address = command["base"] + i // planes[destination]
                    plane = i % planes[destination]
                word = pixel[j * config.lanes : (j + 1) * config.lanes]
                written = enable >> j * config.lanes & (1 << config.lanes) - 1
                writes.append(Write(memory, address & ADDRESS_MASK, plane, word, written))
    return writes


def _load_encoded(command: Command, region: bytes) -> list[Write]:
    pad = bytes([command["pad_value"] & 0xFF])
    stream = b""
    for r in range(command["rows"]):
        start = command["offset"] + r * command["row_stride"]
        row = pad * command["pad_left"] + region[start : start + command["row_bytes"]]
        for i in range(command["pixels"]):
            first = i * command["pixel_step"]
            stream += row[first : first + command["pixel_bytes"]].ljust(8, pad)
    encoding = Encoding(
        command["code_bits"],
        Tables(command["tables"]),
        bool(command["masked"]),
        command["row_pitch"],
        command["plane_pitch"],
        command["rows"],
    )
    weights = decode_weights(np.frombuffer(stream, np.uint8), encoding).weights
    firsts = [
        (block * encoding.pairs + pair) * encoding.pitch + column
        for block in range(encoding.blocks)
        for column in range(0, encoding.pitch, 2)
        for pair in range(encoding.pairs)
    ]
    return [
        Write(Destination.WEIGHTS, command["base"] + unit, 0, weights[unit].tobytes(), 0xFF)
        for first in firsts
        for unit in (first, first + 1)
    ]


def store(config: NpuConfig, command: Command, scratchpad: list[bytes]) -> dict[int, int]:
    """The bytes that a legal STORE writes, by their offset into the region."""
    written = {}
    for r in range(command["rows"]):
        position = command["offset"] + r * command["row_stride"]
        for i in range(command["pixels"]):
            pixel = b"".join(
                scratchpad[
                    command["base"] + j * command["plane_pitch"] + r * command["row_pitch"] + i
                    & ADDRESS_MASK
                ]
                for j in range(command["pixel_words"])
            )
            for byte in pixel[: command["pixel_bytes"]]:
                written[position] = byte
                position += 1
    return written
