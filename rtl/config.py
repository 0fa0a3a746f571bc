"""The hardware parameters of the NPU: one frozen object, presets, and TOML in and out.

Everything that depends on a parameter derives it from here: RTL, simulators and compiler alike.
"""

import dataclasses
import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtl.errors import ConfigError

PARAMETER_BYTES = 9
"""Bytes of post-processing parameters per output channel: bias 4, multiplier 4, shift 1."""

BIAS_BYTES = 4
"""Bytes of the bias among them; they come first."""

TABLE_ENTRIES = 256
"""Entries of the lookup table, one for each int8 value."""

ROUNDINGS = ("double", "single", "half_up")
"""How the requantizer may round, see `rtl/ARCHITECTURE.md`."""

DECODED_FORMATS = ("clustered_weights", "int4_weights", "masked_weights")
"""Parameters that say which encodings of weights the hardware decodes."""

WEIGHT_FORMATS = (*DECODED_FORMATS, "pruned_weights")
"""Parameters that say what the hardware makes of weights that take less than they might."""

DECODER_LANES = 8
"""The only `lanes` of hardware with `WEIGHT_FORMATS`: its units are 8 bytes, its masks bytes."""

LISTED_DEPTH = 8
"""The largest `accumulator_depth` with `pruned_weights`: a step's mask is a byte."""

LIST_ROWS = 256
"""Rows of 8 masks in the step list."""

CONFIG_FORMAT = 6
"""Version of command encoding and parameter meaning; part of the configuration id."""


@dataclass(frozen=True, kw_only=True)
class NpuConfig:
    """One NPU. The grid computes `pixels * channels * lanes` MACs per cycle.

    Parameters
    ----------
    pixels : output pixels (along a row) computed at once, P.
    channels : output channels computed at once, K; in depthwise mode, kernel taps at once.
    lanes : input channels reduced at once, C; also the bytes of a scratchpad word.
    accumulator_depth : groups of K output channels accumulated per activation fetch, D.
    requant_lanes : outputs requantized, and elements of an elementwise command taken, per cycle, R:
        `lanes` times or divided by a power of two.
    scratchpad_kib : activation memory, KiB.
    weight_buffer_kib : weight memory, KiB.
    parameter_channels : output channels whose bias, multiplier and shift fit on chip.
    bus_bytes : bytes per beat of the AXI4 manager.
    burst_beats : longest burst that the manager issues, beats.
    outstanding_bursts : bursts in flight per direction.
    queue_beats : depth of each engine's command queue, in 8-byte beats.
    counters : event counters, the first of `rtl.registers.Event`: 16 is all, 4 the cycles of run
        and engines, 1 those of the run.
    rounding : of requantization, one of `ROUNDINGS`: "double" is TFLM's, twice, the second time
        half away from zero; "half_up" twice, half up; "single" once, half up.
    clustered_weights : weights may arrive as codes of 1 to 4 bits with tables of what they stand
        for.
    int4_weights : weights may arrive as integers of 4 bits.
    masked_weights : weights may arrive without those that are zero.
    pruned_weights : weight words that are zero need be neither in memory nor multiplied.

    Raises
    ------
    ConfigError : a value outside what the hardware supports, with the value and the rule.
    """

    pixels: int = 8
    channels: int = 4
    lanes: int = 8
    accumulator_depth: int = 4
    requant_lanes: int = 16
    scratchpad_kib: int = 256
    weight_buffer_kib: int = 64
    parameter_channels: int = 1024
    bus_bytes: int = 8
    burst_beats: int = 64
    outstanding_bursts: int = 4
    queue_beats: int = 8
    counters: int = 16
    rounding: str = "double"
    clustered_weights: bool = False
    int4_weights: bool = False
    masked_weights: bool = False
    pruned_weights: bool = False

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "rounding":
                continue
            if field.name in WEIGHT_FORMATS:
                if not isinstance(value, bool):
                    raise ConfigError(f"{field.name} must be true or false, got {value!r}")
                continue
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"{field.name} must be an integer, got {value!r}")
        if self.rounding not in ROUNDINGS:
            raise ConfigError(f"rounding must be one of {list(ROUNDINGS)}, got {self.rounding!r}")
        self._require_one_of("pixels", (2, 4, 8, 16))
        self._require_one_of("lanes", (4, 8, 16))
        self._require_one_of("channels", tuple(k for k in (1, 2, 4, 8, 16) if k <= self.lanes))
        self._require_one_of("bus_bytes", (4, 8, 16))
        self._require_one_of("burst_beats", (4, 8, 16, 32, 64, 128, 256))
        self._require_one_of("outstanding_bursts", (1, 2, 4, 8))
        self._require_one_of("queue_beats", (8, 16, 32, 64))
        self._require_one_of("counters", (1, 4, 16))
        self._require_range("accumulator_depth", 1, 32)
        self._require_range("scratchpad_kib", 4, 4096)
        self._require_range("weight_buffer_kib", 1, 4096)
        self._require_range("parameter_channels", self.lanes, 16384)
        if self.accumulator_depth % self.groups_per_word:
            raise ConfigError(
                f"accumulator_depth must be a multiple of lanes/channels = {self.groups_per_word}"
                f" so that a block fills whole words, got {self.accumulator_depth}"
            )
        allowed = [self.lanes >> 2, self.lanes >> 1]
        allowed += [self.lanes << i for i in range(self.pixels.bit_length())]
        if self.requant_lanes not in allowed:
            raise ConfigError(
                f"requant_lanes must be lanes ({self.lanes}) divided by 2 or 4, or times a power of"
                f" two up to pixels ({self.pixels}), got {self.requant_lanes}"
            )
        if self.scratchpad_kib * 1024 % (self.banks * self.lanes):
            raise ConfigError(
                f"scratchpad_kib must fill {self.banks} banks of {self.lanes}-byte words,"
                f" got {self.scratchpad_kib}"
            )
        if self.parameter_channels % self.lanes:
            raise ConfigError(
                f"parameter_channels must be a multiple of lanes ({self.lanes}),"
                f" got {self.parameter_channels}"
            )
        if self.weight_formats and (self.lanes != DECODER_LANES or self.channels < 2):
            raise ConfigError(
                f"{' and '.join(self.weight_formats)} need lanes = {DECODER_LANES} and at least 2"
                f" channels, got {self.lanes} and {self.channels}"
            )
        if self.pruned_weights and self.accumulator_depth > LISTED_DEPTH:
            raise ConfigError(
                f"pruned_weights needs accumulator_depth of at most {LISTED_DEPTH}, got"
                f" {self.accumulator_depth}"
            )

    def _require_one_of(self, name: str, allowed: tuple[int, ...]) -> None:
        value = getattr(self, name)
        if value not in allowed:
            raise ConfigError(f"{name} must be one of {list(allowed)}, got {value}")

    def _require_range(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ConfigError(f"{name} must be between {low} and {high}, got {value}")

    @property
    def macs_per_cycle(self) -> int:
        """Multipliers in the grid."""
        return self.pixels * self.channels * self.lanes

    @property
    def groups_per_word(self) -> int:
        """Groups of `channels` output channels that fill one scratchpad word, n = C / K."""
        return self.lanes // self.channels

    @property
    def block_channels(self) -> int:
        """Output channels of a full block, K * D."""
        return self.channels * self.accumulator_depth

    @property
    def block_words(self) -> int:
        """Scratchpad words per pixel of a full block."""
        return self.accumulator_depth // self.groups_per_word

    @property
    def banks(self) -> int:
        """Scratchpad banks; also the words of an activation window. Twice the pixels, so that
        a window serves stride 2 in one fetch."""
        return 2 * self.pixels

    @property
    def requant_words(self) -> int:
        """Scratchpad words that the output stage writes to per cycle, Q; at least 1."""
        return max(1, self.requant_lanes // self.lanes)

    @property
    def requant_parts(self) -> int:
        """Cycles that the output stage takes for one word: more than 1 only where R < C."""
        return max(1, self.lanes // self.requant_lanes)

    @property
    def output_choices(self) -> int:
        """How often the output stage takes values from one accumulator slot, P * C / R."""
        return self.pixels * self.lanes // self.requant_lanes

    @property
    def parameter_lanes(self) -> int:
        """Channels whose parameters are read at once: C, or R where that is less."""
        return min(self.lanes, self.requant_lanes)

    @property
    def scratchpad_words(self) -> int:
        """Capacity of the scratchpad in words of `lanes` bytes."""
        return self.scratchpad_kib * 1024 // self.lanes

    @property
    def bank_depth(self) -> int:
        """Words per scratchpad bank."""
        return self.scratchpad_words // self.banks

    @property
    def weight_words(self) -> int:
        """Capacity of the weight buffer in words of `channels * lanes` bytes."""
        return self.weight_buffer_kib * 1024 // (self.channels * self.lanes)

    @property
    def parameter_blocks(self) -> int:
        """Capacity of the parameter buffer in blocks of `lanes` channels."""
        return self.parameter_channels // self.lanes

    @property
    def table_rows(self) -> int:
        """Units of `lanes` bytes that the lookup table holds."""
        return TABLE_ENTRIES // self.lanes

    @property
    def weight_formats(self) -> tuple[str, ...]:
        """Those of `WEIGHT_FORMATS` that the hardware has."""
        return tuple(name for name in WEIGHT_FORMATS if getattr(self, name))

    @property
    def decodes_weights(self) -> bool:
        """Whether there is a decoder in front of the weight buffer."""
        return any(getattr(self, name) for name in DECODED_FORMATS)

    @property
    def weight_ports(self) -> int:
        """Neighbouring units of a weight word that can be written at once."""
        return 2 if self.decodes_weights else 1

    def taps_per_step(self, window_stride: int) -> int:
        """Depthwise kernel taps along x that one step covers (at most K).

        Column k of the grid reads window word `p * window_stride + k`, so the last pixel's last
        tap must lie inside the window.
        """
        return min(self.channels, self.banks - (self.pixels - 1) * window_stride)

    @property
    def config_id(self) -> int:
        """32-bit id of everything that a compiled program depends on; the hardware checks it."""
        digest = hashlib.sha256(json.dumps([CONFIG_FORMAT, self.to_dict()]).encode()).digest()
        return int.from_bytes(digest[:4], "little")

    def to_dict(self) -> dict[str, int | str]:
        """The parameters by name, in declaration order."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def to_toml(self) -> str:
        """The parameters as a TOML document that `load_config` reads back."""
        # a JSON string is a TOML string
        return "".join(f"{name} = {json.dumps(value)}\n" for name, value in self.to_dict().items())

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "NpuConfig":
        """Build from parameters by name; unknown names raise `ConfigError`."""
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigError(
                f"unknown configuration key {', '.join(map(repr, unknown))}; allowed:"
                f" {', '.join(known)}"
            )
        return cls(**values)


_BASE = NpuConfig()

PRESETS: dict[str, NpuConfig] = {
    "npu32": dataclasses.replace(
        _BASE, pixels=2, channels=2, accumulator_depth=8, requant_lanes=4, scratchpad_kib=128
    ),
    "npu64": dataclasses.replace(_BASE, pixels=2, requant_lanes=8, scratchpad_kib=128),
    "npu128": dataclasses.replace(_BASE, pixels=4),
    "npu256": _BASE,
    "npu512": dataclasses.replace(_BASE, channels=8, accumulator_depth=4, weight_buffer_kib=128),
    "npu1024": dataclasses.replace(
        _BASE,
        pixels=16,
        channels=8,
        accumulator_depth=4,
        requant_lanes=32,
        scratchpad_kib=512,
        weight_buffer_kib=128,
        bus_bytes=16,
    ),
}

_DECODERS: dict[str, Any] = dict.fromkeys(WEIGHT_FORMATS, True)
PRESETS |= {
    f"{name}c": dataclasses.replace(PRESETS[name], **_DECODERS) for name in ("npu64", "npu256")
}
"""Named configurations, 32 to 1024 MACs per cycle; those with a c decode compressed weights."""

DEFAULT_PRESET = "npu256"


def load_config(spec: str) -> NpuConfig:
    """Find a preset by name or read a TOML file with `NpuConfig`'s parameters.

    A file may start from a preset with `preset = "npu256"` and override single parameters.

    Raises
    ------
    ConfigError : unknown preset, unreadable file, unknown key or illegal value.
    """
    if spec in PRESETS:
        return PRESETS[spec]
    path = Path(spec)
    try:
        if not path.is_file():
            raise ConfigError(
                f"no preset or configuration file {spec!r}; presets: {', '.join(PRESETS)}"
            )
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except ConfigError:
        raise
    # beside its own error, the library lets those of Python's numbers, dates and recursion pass
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot read configuration {spec}: {reason}") from None
    preset = values.pop("preset", None)
    if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
        raise ConfigError(f"unknown preset {preset!r} in {spec}; allowed: {', '.join(PRESETS)}")
    base = {} if preset is None else PRESETS[preset].to_dict()
    try:
        return NpuConfig.from_dict({**base, **values})
    except ConfigError as error:
        raise ConfigError(f"configuration {spec}: {error}") from None
