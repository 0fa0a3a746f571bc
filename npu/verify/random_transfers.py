"""Random LOADs and STOREs, and the memories that they go through."""

import random
from dataclasses import dataclass

import numpy as np

from npu.verify.weights import decodes, random_weights
from rtl.config import NpuConfig
from rtl.isa import Command, Destination, Opcode, Region, Tables
from sim.weight_stream import Encoding, encode_weights


@dataclass(frozen=True)
class Tensor:
    """A tensor in the scratchpad, addresses in words."""

    base: int
    height: int
    width: int
    words: int
    row_pitch: int
    plane_pitch: int


class OutOfMemoryError(Exception):
    """The drawn sizes do not fit; draw again."""


class RandomTransfers:
    """Commands so far, and what they have filled of every memory.

    Parameters
    ----------
    config : the hardware.
    seed : all choices.
    size : largest height, width and kernel extents, about.
    """

    def __init__(self, config: NpuConfig, seed: int, size: int = 6) -> None:
        self.config = config
        self.rng = random.Random(seed)
        self.size = size
        self.commands = [Command(Opcode.CONFIG, {"config_id": config.config_id})]
        self.constants = bytearray()
        self.inputs = bytearray()
        self.output_bytes = 0
        self.done = {"wait_load": 0, "wait_compute": 0, "wait_store": 0}
        self.stores: list[int] = []
        self.free()

    def free(self) -> None:
        """Start over with empty memories; later LOADs wait for all that came before."""
        self.next_word = self.next_unit = self.next_block = self.next_row = 0
        self.barrier = dict(self.done)

    def emit(self, counter: str, opcode: Opcode, fields: dict[str, int], **waits: int) -> None:
        self.commands.append(Command(opcode, {**fields, **waits}))
        self.done[counter] += 1

    def allocate(self, height: int, width: int, words: int) -> Tensor:
        rng = self.rng
        row_pitch = width + rng.choice([0, 0, 1, 3])
        plane_pitch = height * row_pitch + rng.choice([0, 0, 1, 5])
        base = self.next_word + rng.randrange(5)
        self.next_word = base + words * plane_pitch
        if self.next_word > self.config.scratchpad_words:
            raise OutOfMemoryError
        return Tensor(base, height, width, words, row_pitch, plane_pitch)

    def random_bytes(self, count: int) -> bytes:
        if self.rng.random() < 0.1:
            return bytes(self.rng.choices([0x80, 0x7F, 0x81, 0, 255], k=count))
        return self.rng.randbytes(count)

    def place(self, memory: bytearray, data: bytes) -> int:
        """Append at an odd offset; returns it."""
        memory.extend(bytes(self.rng.randrange(9)))
        memory.extend(data)
        return len(memory) - len(data)

    def transfer(self, height: int, width: int, words: int, merge: int = 0) -> dict[str, int]:
        """Fields of a LOAD of random bytes from the arena, plain or folded; without a target."""
        rng, lanes = self.rng, self.config.lanes
        pixel_bytes = (words - 1) * lanes + rng.randint(1, lanes)
        lane_offset = rng.randrange(min(lanes, pixel_bytes)) if merge else 0
        pixel_bytes -= lane_offset
        fold = int(words <= 4 and rng.random() < 0.4)
        step = rng.randint(1, 4 * lanes) if fold else pixel_bytes
        needed = (width - 1) * step + pixel_bytes
        pad_left = min(rng.choice([0, 0, 1, lanes, rng.randrange(20)]), 255)
        row_bytes = max(1, needed - pad_left + rng.choice([0, 0, -step, -1, 3, 2 * lanes]))
        row_stride = row_bytes + rng.choice([0, 0, 1, 7])
        data = self.random_bytes((height - 1) * row_stride + row_bytes)
        return {
            "offset": self.place(self.inputs, data),
            "region": Region.ARENA,
            "rows": height,
            "pad_value": rng.choice([0, -128, rng.randint(-128, 127)]),
            "row_bytes": row_bytes,
            "row_stride": row_stride,
            "pad_left": pad_left,
            "fold": fold,
            "merge": merge,
            "lane_offset": lane_offset,
            "pixels": width,
            "pixel_bytes": pixel_bytes,
            "pixel_step": step,
            "pixel_words": words,
        }

    def load_tensor(self, height: int, width: int, words: int) -> Tensor:
        """LOAD a new tensor of random contents, and perhaps merge others into it."""
        rng = self.rng
        tensor = self.allocate(height, width, words)
        target = {
            "destination": Destination.SCRATCHPAD,
            "base": tensor.base,
            "row_pitch": tensor.row_pitch,
            "plane_pitch": tensor.plane_pitch,
        }
        fields = self.transfer(height, width, words) | target
        self.emit("wait_load", Opcode.LOAD, fields, **self.barrier)
        for _ in range(rng.choice([0, 0, 0, 1, 3])):
            plane, row = rng.randrange(words), rng.randrange(height)
            size = (
                rng.randint(1, height - row),
                rng.randint(1, width),
                rng.randint(1, words - plane),
            )
            base = tensor.base + plane * tensor.plane_pitch + row * tensor.row_pitch
            fields = self.transfer(*size, merge=1) | target | {"base": base}
            self.emit("wait_load", Opcode.LOAD, fields, **self.barrier)
        return tensor

    def load_units(self, destination: Destination, base: int, data: bytes, **waits: int) -> None:
        """LOAD a dense vector of words: weights, parameters, biases or a table."""
        lanes = self.config.lanes
        self.emit(
            "wait_load",
            Opcode.LOAD,
            {
                "offset": self.place(self.constants, data),
                "region": Region.CONSTANTS,
                "destination": destination,
                "rows": 1,
                "pad_value": 0,
                "row_bytes": len(data),
                "row_stride": self.rng.choice([0, len(data)]),
                "pad_left": 0,
                "fold": 0,
                "merge": 0,
                "lane_offset": 0,
                "pixels": len(data) // lanes,
                "pixel_bytes": lanes,
                "pixel_step": lanes,
                "pixel_words": 1,
                "base": base,
                "row_pitch": 0,
                "plane_pitch": 0,
            },
            **{**self.barrier, **waits},
        )

    def load_encoded(self, base: int, units: int) -> None:
        """LOAD `units` weight units that are encoded in one of the ways that the hardware knows."""
        rng, config = self.rng, self.config
        forms = [
            (bits, tables, masked)
            for bits in (1, 2, 3, 4, 8)
            for tables in Tables
            for masked in (False, True)
            if decodes(config, bits, tables, masked)
        ]
        pairs = units // 2
        sections = rng.choice([n for n in (1, 1, 2, 4, 8) if pairs % n == 0])
        blocks = rng.choice([n for n in (1, 1, 2, 3) if pairs // sections % n == 0])
        pairs //= sections * blocks
        encoding = Encoding(*rng.choice(forms), 2 * sections, pairs, blocks)
        weights = random_weights(encoding, rng.random(), np.random.default_rng(rng.randrange(99)))
        stream = encode_weights(weights, encoding)
        if rng.random() < 0.2:
            # of anything something is made
            stream = np.frombuffer(rng.randbytes(8 * blocks * rng.randint(1, 30)), np.uint8)
        row_bytes = len(stream) // blocks
        self.emit(
            "wait_load",
            Opcode.LOAD,
            {
                "offset": self.place(self.constants, stream.tobytes()),
                "region": Region.CONSTANTS,
                "destination": Destination.ENCODED,
                "rows": blocks,
                "pad_value": 0,
                "row_bytes": row_bytes,
                "row_stride": row_bytes,
                "pad_left": 0,
                "fold": 0,
                "merge": 0,
                "lane_offset": 0,
                "pixels": row_bytes // config.lanes,
                "pixel_bytes": config.lanes,
                "pixel_step": config.lanes,
                "pixel_words": 1,
                "base": base,
                "row_pitch": encoding.pitch,
                "plane_pitch": encoding.pairs,
                "code_bits": encoding.code_bits,
                "tables": encoding.tables,
                "masked": int(encoding.masked),
            },
            **self.barrier,
        )

    def load_activations(self, base: int, units: int) -> None:
        """LOAD `units` weight units from the arena: pixels of several words, rows, folds, padding.

        Every unit is written once: pixels follow each other, planes or rows are outermost.
        """
        rng = self.rng
        divisors = [d for d in range(1, 5) if units % d == 0]
        words = rng.choice(divisors)
        rows = rng.choice([d for d in divisors if units // words % d == 0])
        pixels = units // words // rows
        # pitches of words and rows when pixels, of pitch 1, are innermost
        plane_pitch, row_pitch = rng.choice([(pixels, pixels * words), (pixels * rows, pixels)])
        fields = self.transfer(rows, pixels, words)
        fields |= {
            "destination": Destination.WEIGHTS,
            "base": base,
            "plane_pitch": plane_pitch,
            "row_pitch": row_pitch,
        }
        if rng.random() < 0.5:
            # from the last unit down, modulo the address space
            fields["base"] = base + (words - 1) * plane_pitch
            fields["plane_pitch"] = -plane_pitch % 2**20
        self.emit("wait_load", Opcode.LOAD, fields, **self.barrier)

    def store(self, tensor: Tensor) -> None:
        """STORE a tensor, with some lanes of its last word left out."""
        rng, lanes = self.rng, self.config.lanes
        pixel_bytes = (tensor.words - 1) * lanes + rng.randint(1, lanes)
        row_stride = tensor.width * pixel_bytes + rng.choice([0, 0, 1, 5])
        offset = self.output_bytes + rng.randrange(9)
        self.output_bytes = offset + tensor.height * row_stride
        self.stores.append(len(self.commands))
        self.emit(
            "wait_store",
            Opcode.STORE,
            {
                "offset": offset,
                "region": Region.ARENA,
                "rows": tensor.height,
                "pixel_words": tensor.words,
                "row_stride": row_stride,
                "pixels": tensor.width,
                "pixel_bytes": pixel_bytes,
                "base": tensor.base,
                "row_pitch": tensor.row_pitch,
                "plane_pitch": tensor.plane_pitch,
            },
            wait_load=self.done["wait_load"],
            wait_compute=self.done["wait_compute"],
        )
