"""Random legal programs: LOADs, one compute command of odd geometry, STORE; several in a row.

Everything is a function of the configuration, the kinds and the seed.
"""

import numpy as np
from numpy.typing import NDArray

from npu.verify.random_transfers import OutOfMemoryError, RandomTransfers
from rtl.config import BIAS_BYTES, LIST_ROWS, PARAMETER_BYTES, NpuConfig
from rtl.isa import MAX_LEFT_SHIFT, Command, Destination, Function, Opcode, encode_all
from sim.program import Program, TensorBinding
from sim.step_list import forced, kept_words, packed_rows

KINDS = (Opcode.LOAD, Opcode.CONV, Opcode.DEPTHWISE, Opcode.MAX_POOL, Opcode.ELEMENTWISE)
"""LOAD stands for a copy: LOAD and STORE alone."""

INPUT, OUTPUT = 0, 1
"""Tensor indices: all inputs in one flat tensor, all outputs in another."""


def typical_shift(terms: int) -> int:
    """The shift that brings a sum of `terms` random products to int8, about."""
    return 6 - (int(74 * 74 * terms**0.5) + 1).bit_length()


class RandomProgram(RandomTransfers):
    """Builds one program; the parameters are those of `RandomTransfers`."""

    def load_weights(self, words: int, taps: int) -> int:
        """LOAD random weight words; taps from `taps` on are zero in each. Returns the base."""
        base = self.next_unit + self.rng.randrange(3)
        self.next_unit = base + words
        if self.next_unit > self.config.weight_words:
            raise OutOfMemoryError
        channels, lanes = self.config.channels, self.config.lanes
        data = np.frombuffer(self.random_bytes(words * channels * lanes), np.uint8).copy()
        data.reshape(words, lanes, channels)[:, :, taps:] = 0
        if self.rng.random() < 0.3 and taps == channels:
            self.load_activations(base * channels, words * channels)
        elif self.config.decodes_weights and taps == channels and self.rng.random() < 0.8:
            for first in range(0, words, part := self.rng.choice([words, -(-words // 2)])):
                self.load_encoded((base + first) * channels, min(part, words - first) * channels)
        else:
            self.load_units(Destination.WEIGHTS, base * channels, data.tobytes())
        return base

    def load_list(self, blocks: int, steps: int, depth: int) -> tuple[int, int]:
        """LOAD a random step list; returns its first row, and the weight words that there are."""
        rng = self.rng
        density = rng.choice([0.0, 0.1, 0.3, 0.6, 1.0])
        bits = [sum((rng.random() < density) << d for d in range(8)) for _ in range(blocks * steps)]
        masks = np.array(bits, np.uint8).reshape(blocks, steps)
        base, rows = self.next_row + rng.randrange(2), packed_rows(masks)
        self.next_row = base + len(rows) // 8
        if self.next_row > LIST_ROWS:
            raise OutOfMemoryError
        self.load_units(Destination.LIST, base, rows.tobytes())
        return base, int(kept_words(forced(masks, depth), depth).sum())

    def load_table(self) -> None:
        """LOAD a random lookup table, a part of it twice, behind all uses of the one before."""
        config, rng = self.config, self.rng
        first = rng.choice([0, 0, rng.randrange(config.table_rows)])
        for row in {0, first}:
            size = (config.table_rows - row) * config.lanes
            data = self.random_bytes(size)
            self.load_units(Destination.TABLE, row, data, wait_compute=self.done["wait_compute"])

    def load_parameters(self, blocks: int, terms: int, identity: bool = False) -> int:
        """LOAD random output parameters for sums of `terms` products; returns the first block."""
        rng, lanes = self.rng, self.config.lanes
        base = self.next_block + rng.randrange(2)
        self.next_block = base + blocks
        if self.next_block > self.config.parameter_blocks:
            raise OutOfMemoryError
        planes = np.zeros((blocks, PARAMETER_BYTES, lanes), np.uint8)
        typical = typical_shift(terms)
        for block in range(blocks):
            for lane in range(lanes):
                bias = rng.randint(-(2**12), 2**12)
                multiplier = rng.randint(2**30, 2**31 - 1)
                if multiplier % 4 == 0:
                    # a smaller mantissa is legal, too
                    multiplier >>= multiplier // 4 % 31
                shift = typical + rng.choice([0, 0, 1, -1, -2])
                if rng.random() < 0.1:
                    bias = rng.choice([rng.randint(-(2**31), 2**31 - 1), 2**31 - 1, -(2**31)])
                    multiplier = rng.choice([2**30, 2**31 - 1, 0])
                    shift = min(rng.randint(-31, 30), MAX_LEFT_SHIFT)
                if identity:
                    bias, multiplier, shift = 0, 2**30, 1
                raw = bias.to_bytes(4, "little", signed=True) + multiplier.to_bytes(4, "little")
                raw += shift.to_bytes(1, "little", signed=True)
                planes[block, :, lane] = np.frombuffer(raw, np.uint8)
        self.load_units(Destination.PARAMETERS, base, planes.tobytes())
        if rng.random() < 0.3:
            first = rng.randrange(blocks)
            biases = np.array(
                rng.choices(range(-(2**12), 2**12), k=(blocks - first) * lanes), "<i4"
            )
            planes = biases.reshape(-1, lanes).view(np.uint8).reshape(-1, lanes, BIAS_BYTES)
            self.load_units(Destination.BIASES, base + first, planes.transpose(0, 2, 1).tobytes())
        return base

    def clamp(self) -> dict[str, int]:
        low, high = -128, 127
        if self.rng.random() < 0.3:
            low, high = self.rng.randint(-128, -20), self.rng.randint(10, 127)
        return {"activation_min": low, "activation_max": high}

    def compute(self, opcode: Opcode, fields: dict[str, int]) -> None:
        self.emit("wait_compute", opcode, fields, wait_load=self.done["wait_load"])

    def add_piece(self, kind: Opcode) -> None:
        """Append one kind's LOADs, compute command and STORE."""
        if kind == Opcode.LOAD:
            rng = self.rng
            size = self.size
            self.store(
                self.load_tensor(rng.randint(1, size), rng.randint(1, 3 * size), rng.randint(1, 5))
            )
        elif kind == Opcode.ELEMENTWISE:
            self.add_elementwise()
        else:
            self.add_grid(kind)

    def add_elementwise(self) -> None:
        rng = self.rng
        words = rng.choice([1, rng.randint(1, 100), self.config.banks * rng.randint(1, 3)])
        function = rng.choice(list(Function))
        repeat = int(rng.random() < 0.3)
        first = self.load_tensor(1, words, 1)
        second = first
        if rng.random() < 0.9:
            second = self.load_tensor(1, rng.choice([1, words]) if repeat else words, 1)
        if function == Function.TABLE:
            self.load_table()
        ofm = self.allocate(1, words, 1)
        # what brings a typical value of the function to int8, or near
        shift = {Function.ADD: -20, Function.SUB: -20, Function.MUL: -7}.get(function, 0)
        fields = {
            "ifm_base": first.base,
            "ifm2_base": second.base,
            "ofm_base": ofm.base,
            "words": words,
            "ofm_multiplier": rng.randint(2**30, 2**31 - 1),
            "ofm_shift": shift + rng.choice([0, 0, 0, 1, -1]),
            "ofm_zero_point": rng.randint(-128, 127),
            "function": function,
            "ifm2_repeat": repeat,
            **self.clamp(),
        }
        if rng.random() < 0.1:
            fields["ofm_shift"] = rng.randint(-31, 2)
        elif function >= Function.MAXIMUM and rng.random() < 0.5:
            fields |= {"ofm_multiplier": 2**30, "ofm_shift": 1, "ofm_zero_point": 0}
        for name in ("ifm", "ifm2"):
            fields["operand_multiplier"] = rng.choice([2**30, rng.randint(2**30, 2**31 - 1)])
            fields["operand_right_shift"] = rng.choice([0, 0, 0, 1, 2, rng.randint(0, 31)])
            fields[f"{name}_zero_point"] = rng.choice([-128, 127, rng.randint(-128, 127)])
        fields["scale_second"] = fields["ofm_multiplier"] & 1
        # in place, unless the word that is repeated would be overwritten
        if rng.random() < 0.1 and not (repeat and second is first):
            ofm = first
            fields["ofm_base"] = first.base
        self.compute(Opcode.ELEMENTWISE, fields)
        self.store(ofm)

    def command_scale(self, terms: int, identity: bool) -> dict[str, int]:
        """Where a grid command's scales and biases come from, and its own scale."""
        rng = self.rng
        scale = {
            "ofm_multiplier": rng.randint(2**30, 2**31 - 1),
            "ofm_shift": min(rng.randint(-31, 30), MAX_LEFT_SHIFT),
        }
        shared = rng.random() < 0.4
        if shared:
            scale["ofm_shift"] = typical_shift(terms) + rng.choice([0, 0, 1, -1])
        if identity:
            scale = {"ofm_multiplier": 2**30, "ofm_shift": 1}
        return {**scale, "shared_scale": int(shared), "no_bias": int(rng.random() < 0.4)}

    def add_grid(self, kind: Opcode) -> None:
        rng, cfg, size = self.rng, self.config, self.size
        kernel_height, kernel_columns = rng.choices([1, 1, 2, 3, 3, 5, 7], k=2)
        stride_x, stride_y = rng.choices([1, 1, 1, 2, 2, 3, 4], k=2)
        dilation_x, dilation_y = rng.choices([1, 1, 1, 2, 3], k=2)
        pad_top = rng.randint(0, (kernel_height - 1) * dilation_y + 1)
        pad_left = rng.randint(0, (kernel_columns - 1) * dilation_x + 1)
        ofm_height, ofm_width = rng.randint(1, size), rng.randint(1, 2 * cfg.pixels + 3)
        window_stride = stride_x if stride_x <= 2 else rng.choice([1, 2])
        group_pixels = cfg.pixels if stride_x <= 2 else 1

        tap_step, taps = dilation_x, 1
        if kind == Opcode.DEPTHWISE and dilation_x == 1:
            taps = tap_step = cfg.taps_per_step(window_stride)
        kernel_width = -(-kernel_columns // taps)
        # the image may end before the last window does, by up to one pixel more than padding needs
        ifm_height = (ofm_height - 1) * stride_y + (kernel_height - 1) * dilation_y + 1 - pad_top
        ifm_width = (ofm_width - 1) * stride_x + (kernel_columns - 1) * dilation_x + 1 - pad_left
        ifm_height = max(1, ifm_height - rng.choice([0, 0, 1, 2, -1]))
        ifm_width = max(1, ifm_width - rng.choice([0, 0, 1, 2, -1]))

        if kind == Opcode.CONV:
            blocks, channel_steps = rng.randint(1, 3), rng.randint(1, 4)
            depth = cfg.groups_per_word * rng.randint(1, cfg.block_words)
            steps = kernel_height * kernel_width * channel_steps
            words, listed = blocks * steps * depth, {}
            if cfg.pruned_weights and steps > 1 and rng.random() < 0.6:
                first, words = self.load_list(blocks, steps, depth)
                listed = {"listed": 1, "list_base": first}
            weight_base = self.load_weights(words, cfg.channels)
            terms = steps * cfg.lanes
        else:
            blocks, channel_steps, depth, listed = rng.randint(1, 4), 1, cfg.groups_per_word, {}
            terms, weight_base = kernel_height * kernel_columns, 0
            if kind == Opcode.DEPTHWISE:
                words = blocks * kernel_height * kernel_width
                weight_base = self.load_weights(words, taps)
        ofm_words = blocks * depth // cfg.groups_per_word
        identity = kind == Opcode.MAX_POOL and rng.random() < 0.7
        scale = self.command_scale(terms, identity)
        parameter_base = rng.randrange(2**14)
        if not (scale["shared_scale"] and scale["no_bias"]):
            parameter_base = self.load_parameters(ofm_words, terms, identity)
        ifm_words = channel_steps if kind == Opcode.CONV else blocks
        ifm = self.load_tensor(ifm_height, ifm_width, ifm_words)
        ofm = self.allocate(ofm_height, ofm_width, ofm_words)
        fields = {
            "ifm_origin": (ifm.base - pad_top * ifm.row_pitch - pad_left) % 2**20,
            "ifm_plane_pitch": ifm.plane_pitch,
            "ifm_row_step": stride_y * ifm.row_pitch,
            "ifm_tap_row_step": dilation_y * ifm.row_pitch,
            "group_step": group_pixels * stride_x,
            "tap_step": tap_step,
            "window_stride": window_stride,
            "group_pixels": group_pixels,
            "ifm_zero_point": -128 if identity else rng.randint(-128, 127),
            "ifm_height": ifm_height,
            "ifm_width": ifm_width,
            "ofm_height": ofm_height,
            "ofm_width": ofm_width,
            "kernel_height": kernel_height,
            "kernel_width": kernel_width,
            "channel_steps": channel_steps,
            "blocks": blocks,
            "depth": depth,
            "stride_y": stride_y,
            "dilation_y": dilation_y,
            "pad_top": pad_top,
            "pad_left": pad_left,
            "weight_base": weight_base,
            "parameter_base": parameter_base,
            **listed,
            "ofm_base": ofm.base,
            "ofm_plane_pitch": ofm.plane_pitch,
            "ofm_row_pitch": ofm.row_pitch,
            "ofm_zero_point": rng.randint(-128, 127),
            **scale,
            **self.clamp(),
        }
        self.compute(kind, fields)
        self.store(ofm)

    def build(self) -> Program:
        """The program; its arena is the input bytes followed by the output bytes."""
        start = len(self.inputs)
        for index in self.stores:
            command = self.commands[index]
            self.commands[index] = Command(
                command.opcode, {**command.fields, "offset": command["offset"] + start}
            )
        end = Command(Opcode.END, {})
        binding = TensorBinding("inputs", INPUT, 0, (start,))
        output = TensorBinding("outputs", OUTPUT, start, (self.output_bytes,))
        return Program(
            config=self.config,
            commands=encode_all([*self.commands, end]),
            constants=np.frombuffer(bytes(self.constants), np.uint8),
            arena_bytes=start + self.output_bytes,
            inputs=(binding,),
            outputs=(output,),
        )


def random_program(
    config: NpuConfig, seed: int, kinds: tuple[Opcode, ...], size: int = 6
) -> tuple[Program, dict[int, NDArray[np.int8]]]:
    """A program with one piece for each of `kinds` (one of KINDS), and its inputs.

    When the memories are full they are reused, behind waits for everything before. A single piece
    that does not fit is drawn again, smaller.
    """
    for attempt in range(20):
        builder = RandomProgram(config, seed * 1000 + attempt, max(1, size - attempt // 4))
        try:
            for kind in kinds:
                if builder.next_word > config.scratchpad_words // 2:
                    builder.free()
                builder.add_piece(kind)
        except OutOfMemoryError:
            continue
        data = np.frombuffer(bytes(builder.inputs), np.int8)
        return builder.build(), {INPUT: data}
    raise OutOfMemoryError(f"no program of {kinds} fits {config}, seed {seed}")
