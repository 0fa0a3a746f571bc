"""rtl/ARCHITECTURE.md as a program: windows, taps and steps literally, one after the other.

Slow, plain Python, and independent of `sim/` and `kernels/`: the tests compare both simulators
and the RTL with it. It knows only legal programs; an address out of bounds raises IndexError.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rtl.config import PARAMETER_BYTES, NpuConfig
from rtl.isa import Command, Destination, Function, Opcode, Region, decode_all
from sim.program import Program

Word = NDArray[np.int64]
"""A scratchpad word: C lanes."""


def int32(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31


def shift_rounding(product: int, places: int, rs: int, rounding: str) -> int:
    """`product / 2**(places + rs)`, rounded as the configuration says."""
    if rounding == "single":
        return (product + (1 << places - 1 + rs)) >> places + rs
    t = (product + (1 << places - 1)) >> places
    if rs == 0:
        return t
    return (t + (1 << rs - 1) - (rounding == "double" and t < 0)) >> rs


def requantize(x: int, m: int, shift: int, rounding: str) -> int:
    return shift_rounding(int32(x << max(shift, 0)) * m, 31, max(-shift, 0), rounding)


def scale(x: int, zp: int, m: int, rs: int, rounding: str) -> int:
    return shift_rounding((x - zp) * m, 11, rs, rounding)


class Model:
    """One NPU with its memories.

    Attributes
    ----------
    scratchpad : int64 `[words, C]`, values of int8. weights : int64 `[words, K, C]`.
    parameters : uint8 `[blocks, 9, C]`. table : uint8 `[256 / C, C]`.
    """

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        self.scratchpad = np.zeros((config.scratchpad_words, config.lanes), np.int64)
        self.weights = np.zeros((config.weight_words, config.channels, config.lanes), np.int64)
        self.parameters = np.zeros(
            (config.parameter_blocks, PARAMETER_BYTES, config.lanes), np.uint8
        )
        self.table = np.zeros((config.table_rows, config.lanes), np.uint8)
        self.regions: dict[int, bytearray] = {}

    def run(self, program: Program, arena: bytes) -> bytes:
        """Execute a program; returns the arena's new contents."""
        self.regions = {
            int(Region.CONSTANTS): bytearray(program.constants.tobytes()),
            int(Region.ARENA): bytearray(arena),
        }
        commands = decode_all(program.commands)
        assert commands[0].opcode == Opcode.CONFIG
        assert commands[0]["config_id"] == self.config.config_id
        assert commands[-1].opcode == Opcode.END
        for command in commands[1:-1]:
            match command.opcode:
                case Opcode.LOAD:
                    self.load(command)
                case Opcode.STORE:
                    self.store(command)
                case Opcode.ELEMENTWISE:
                    self.elementwise(command)
                case _:
                    self.grid(command)
        return bytes(self.regions[Region.ARENA])

    def address(self, value: int) -> int:
        value %= 2**20
        if value >= self.config.scratchpad_words:
            raise IndexError(f"scratchpad address {value}")
        return value

    def load(self, c: Command) -> None:
        lanes = self.config.lanes
        region = self.regions[c["region"]]
        pad = c["pad_value"] % 256
        for r in range(c["rows"]):
            begin = c["offset"] + r * c["row_stride"]
            if begin + c["row_bytes"] > len(region):
                raise IndexError(f"region byte {begin + c['row_bytes']}")
            row = [pad] * c["pad_left"] + list(region[begin : begin + c["row_bytes"]])
            row += [pad] * (c["pixels"] * c["pixel_step"] + c["pixel_bytes"])
            for i in range(c["pixels"]):
                pixel: list[int | None] = [None] * c["lane_offset"]
                pixel += row[i * c["pixel_step"] :][: c["pixel_bytes"]]
                rest = None if c["merge"] else pad
                pixel += [rest] * (c["pixel_words"] * lanes - len(pixel))
                for j in range(c["pixel_words"]):
                    self.load_word(c, r, i, j, pixel[j * lanes : (j + 1) * lanes])

    def load_word(self, c: Command, r: int, i: int, j: int, data: list[int | None]) -> None:
        """Write a word; of the scratchpad's, bytes that are None keep their value."""
        word = np.array([byte or 0 for byte in data], np.uint8)
        match c["destination"]:
            case Destination.SCRATCHPAD:
                a = self.address(c["base"] + j * c["plane_pitch"] + r * c["row_pitch"] + i)
                written = [byte is not None for byte in data]
                self.scratchpad[a][written] = word.view(np.int8)[written]
            case Destination.WEIGHTS:
                unit = (c["base"] + j * c["plane_pitch"] + r * c["row_pitch"] + i) % 2**20
                k = self.config.channels
                self.weights[unit // k, unit % k] = word.view(np.int8)
            case Destination.PARAMETERS:
                self.parameters[c["base"] + i // 9, i % 9] = word
            case Destination.TABLE:
                self.table[c["base"] + i] = word
            case Destination.BIASES:
                self.parameters[c["base"] + i // 4, i % 4] = word

    def store(self, c: Command) -> None:
        region = self.regions[c["region"]]
        for r in range(c["rows"]):
            for i in range(c["pixels"]):
                pixel: list[int] = []
                for j in range(c["pixel_words"]):
                    a = self.address(c["base"] + j * c["plane_pitch"] + r * c["row_pitch"] + i)
                    pixel += [int(value) % 256 for value in self.scratchpad[a]]
                begin = c["offset"] + r * c["row_stride"] + i * c["pixel_bytes"]
                if begin + c["pixel_bytes"] > len(region):
                    raise IndexError(f"region byte {begin + c['pixel_bytes']}")
                region[begin : begin + c["pixel_bytes"]] = bytes(pixel[: c["pixel_bytes"]])

    def steps(self, c: Command, block: int, oy: int, g: int) -> Iterator[NDArray[np.int64]]:
        """The windows of one pixel group in order, each int64 `[F, C]`."""
        words = self.config.banks
        for ky in range(c["kernel_height"]):
            iy = oy * c["stride_y"] - c["pad_top"] + ky * c["dilation_y"]
            for kx in range(c["kernel_width"]):
                ix = g * c["group_step"] - c["pad_left"] + kx * c["tap_step"]
                for cs in range(c["channel_steps"]):
                    a = c["ifm_origin"] + oy * c["ifm_row_step"] + g * c["group_step"]
                    a += ky * c["ifm_tap_row_step"] + kx * c["tap_step"]
                    a += (cs if c.opcode == Opcode.CONV else block) * c["ifm_plane_pitch"]
                    window = np.full((words, self.config.lanes), c["ifm_zero_point"], np.int64)
                    for j in range(words):
                        if 0 <= iy < c["ifm_height"] and 0 <= ix + j < c["ifm_width"]:
                            window[j] = self.scratchpad[self.address(a + j)]
                    yield window

    def grid(self, c: Command) -> None:
        cfg = self.config
        words = c["depth"] // cfg.groups_per_word
        weight = c["weight_base"]
        for block in range(c["blocks"]):
            block_weight = weight
            for oy in range(c["ofm_height"]):
                for g in range(-(-c["ofm_width"] // c["group_pixels"])):
                    weight = block_weight
                    first = -(2**31) if c.opcode == Opcode.MAX_POOL else 0
                    acc = np.full((c["group_pixels"], words * cfg.lanes), first, np.int64)
                    for window in self.steps(c, block, oy, g):
                        weight = self.step(c, acc, window, weight)
                    self.output(c, block, oy, g, acc)

    def step(self, c: Command, acc: Word, window: NDArray[np.int64], weight: int) -> int:
        """Add one window to the accumulators `[pixels, channels]`; returns the next weight word."""
        cfg = self.config
        s = c["window_stride"]
        if c.opcode == Opcode.CONV:
            for d in range(c["depth"]):
                for p in range(len(acc)):
                    for k in range(cfg.channels):
                        acc[p, d * cfg.channels + k] += window[p * s] @ self.weights[weight, k]
                weight += 1
        elif c.opcode == Opcode.DEPTHWISE:
            taps = cfg.taps_per_step(s)
            word = self.weights[weight].reshape(cfg.lanes, cfg.channels)
            assert not word[:, taps:].any()
            for p in range(len(acc)):
                for k in range(taps):
                    acc[p] += window[p * s + k] * word[:, k]
            weight += 1
        else:
            for p in range(len(acc)):
                acc[p] = np.maximum(acc[p], window[p * s])
        return weight

    def parameter(self, c: Command, block: int, lane: int) -> tuple[int, int, int]:
        """Bias, multiplier and shift of one channel."""
        bias, scale = 0, (c["ofm_multiplier"], c["ofm_shift"])
        if not (c["no_bias"] and c["shared_scale"]):
            raw = self.parameters[c["parameter_base"] + block, :, lane].tobytes()
            if not c["no_bias"]:
                bias = int.from_bytes(raw[0:4], "little", signed=True)
            if not c["shared_scale"]:
                multiplier = int.from_bytes(raw[4:8], "little", signed=True)
                scale = multiplier, int.from_bytes(raw[8:9], "little", signed=True)
        return bias, *scale

    def output(self, c: Command, block: int, oy: int, g: int, acc: Word) -> None:
        lanes = self.config.lanes
        words = acc.shape[1] // lanes
        ox = g * c["group_pixels"]
        for w in range(words):
            base = c["ofm_base"] + (block * words + w) * c["ofm_plane_pitch"]
            for p in range(min(c["group_pixels"], c["ofm_width"] - ox)):
                a = self.address(base + oy * c["ofm_row_pitch"] + ox + p)
                for lane in range(lanes):
                    bias, m, shift = self.parameter(c, block * words + w, lane)
                    total = int32(int(acc[p, w * lanes + lane]) + bias)
                    v = requantize(total, m, shift, self.config.rounding)
                    self.scratchpad[a, lane] = self.clamp(c, v + c["ofm_zero_point"])

    def elementwise(self, c: Command) -> None:
        rounding = self.config.rounding
        for i in range(c["words"]):
            first = self.scratchpad[self.address(c["ifm_base"] + i)]
            second = self.scratchpad[self.address(c["ifm2_base"] + i * (1 - c["ifm2_repeat"]))]
            word = []
            for a, b in zip(first.tolist(), second.tolist(), strict=True):
                value = self.function(c, a, b)
                total = requantize(value, c["ofm_multiplier"], c["ofm_shift"], rounding)
                word.append(self.clamp(c, total + c["ofm_zero_point"]))
            self.scratchpad[self.address(c["ofm_base"] + i)] = word

    def function(self, c: Command, a: int, b: int) -> int:
        rounding = self.config.rounding
        za, zb = c["ifm_zero_point"], c["ifm2_zero_point"]
        scales = [(c["operand_multiplier"], c["operand_right_shift"]), (1 << 30, 0)]
        first, second = reversed(scales) if c["scale_second"] else scales
        left, right = scale(a, za, *first, rounding), scale(b, zb, *second, rounding)
        entry = int(self.table.view(np.int8).reshape(-1)[a % 256])
        return {
            Function.ADD: int32(left + right),
            Function.SUB: int32(left - right),
            Function.MUL: (a - za) * (b - zb),
            Function.MAXIMUM: max(a, b),
            Function.MINIMUM: min(a, b),
            Function.TABLE: entry,
        }[Function(c["function"])]

    @staticmethod
    def clamp(c: Command, value: int) -> int:
        return min(max(value, c["activation_min"]), c["activation_max"])
