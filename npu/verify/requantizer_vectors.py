"""Programs whose outputs show every bit of the requantizer: sums of any size, near ties, ends."""

import random

import numpy as np
from numpy.typing import NDArray

from npu.verify.random_programs import INPUT, RandomProgram
from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import MAX_LEFT_SHIFT, Destination, Opcode
from sim.program import Program

MOST_BLOCKS = 16
"""Words of channels in a program."""


class VectorProgram(RandomProgram):
    """A depthwise layer with one tap of weight 0: its sums are the biases, and nothing else."""

    def load_vectors(self, blocks: int) -> int:
        """LOAD biases, multipliers and shifts that are vectors; returns the first block."""
        lanes = self.config.lanes
        planes = np.zeros((blocks, PARAMETER_BYTES, lanes), np.uint8)
        for block in range(blocks):
            for lane in range(lanes):
                bias, multiplier, shift = vector(self.rng)
                raw = bias.to_bytes(BIAS_BYTES, "little", signed=True)
                raw += multiplier.to_bytes(4, "little") + shift.to_bytes(1, "little", signed=True)
                planes[block, :, lane] = np.frombuffer(raw, np.uint8)
        self.load_units(Destination.PARAMETERS, 0, planes.tobytes())
        return 0


def vector(rng: random.Random) -> tuple[int, int, int]:
    """A sum, a multiplier and a shift whose result is a byte in most cases, and near a tie often.

    The multiplier is any below 2**31: smaller ones are legal, too.
    """
    if rng.random() < 0.1:
        ends = [-(2**31), 2**31 - 1, -1, 0, 1, 2**30]
        return rng.choice(ends), rng.choice([0, 1, 2**30, 2**31 - 1]), rng.randint(-31, 0)
    multiplier = rng.randrange(1, 1 << rng.choice([31, 31, 31, rng.randint(2, 31)]))
    shift = rng.randint(-31, min(8, MAX_LEFT_SHIFT))
    # of the result, half a unit more or less is a tie
    wanted = rng.randint(-120, 120) + rng.choice([0.5, 0.5, rng.random()])
    value = round(wanted * 2.0 ** (31 - shift) / multiplier) + rng.choice([-1, 0, 0, 1])
    return min(max(value, -(2**31)), 2**31 - 1), multiplier, shift


def vector_program(config: NpuConfig, seed: int) -> tuple[Program, dict[int, NDArray[np.int8]]]:
    """A program of such vectors, one a channel, and its inputs."""
    builder = VectorProgram(config, seed, size=1)
    blocks = min(MOST_BLOCKS, config.parameter_blocks, config.weight_words)
    weights = bytes(blocks * config.channels * config.lanes)
    builder.load_units(Destination.WEIGHTS, 0, weights)
    base = builder.load_vectors(blocks)
    ifm = builder.load_tensor(1, 1, blocks)
    ofm = builder.allocate(1, 1, blocks)
    fields = {
        "ifm_origin": ifm.base,
        "ifm_plane_pitch": ifm.plane_pitch,
        "ifm_row_step": ifm.row_pitch,
        "ifm_tap_row_step": ifm.row_pitch,
        "group_step": config.pixels,
        "tap_step": config.taps_per_step(1),
        "window_stride": 1,
        "group_pixels": config.pixels,
        **dict.fromkeys(("ifm_height", "ifm_width", "ofm_height", "ofm_width"), 1),
        **dict.fromkeys(("kernel_height", "kernel_width", "channel_steps"), 1),
        **dict.fromkeys(("stride_y", "dilation_y"), 1),
        "blocks": blocks,
        "depth": config.groups_per_word,
        "parameter_base": base,
        "ofm_base": ofm.base,
        "ofm_plane_pitch": ofm.plane_pitch,
        "ofm_row_pitch": ofm.row_pitch,
        **dict.fromkeys(("ifm_zero_point", "ofm_zero_point", "pad_top", "pad_left"), 0),
        **dict.fromkeys(("shared_scale", "no_bias", "weight_base", "ofm_shift"), 0),
        "ofm_multiplier": 1 << 30,
        "activation_min": -128,
        "activation_max": 127,
    }
    builder.compute(Opcode.DEPTHWISE, fields)
    builder.store(ofm)
    return builder.build(), {INPUT: np.frombuffer(bytes(builder.inputs), np.int8)}
