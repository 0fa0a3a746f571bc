"""Which commands the hardware refuses before executing them (ILLEGAL_FIELD, CONFIG_MISMATCH).

Stated apart from the RTL on purpose: the tests compare the two.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtl.config import NpuConfig
from rtl.isa import MAX_LEFT_SHIFT, Destination, Function, Opcode, Region, Tables
from sim.command_table import CommandTable, Records

MAX_FOLD_WORDS = 4
"""Words that a folding LOAD cuts a pixel from at most (bytes and step)."""

MAX_STORE_ROW_BITS = 24
"""A STORE's rows are shorter than 2**24 bytes."""

MAX_CODE_PITCH = 1022
"""Units from one pair of a section of encoded weights to the next, at most."""

Rule = Callable[[NpuConfig, Records], NDArray[np.bool_]]

_GRID_OPCODES = (Opcode.CONV, Opcode.DEPTHWISE, Opcode.MAX_POOL)

_COUNTS: dict[Opcode, tuple[str, ...]] = {
    Opcode.LOAD: ("rows", "row_bytes", "pixels", "pixel_bytes", "pixel_step", "pixel_words"),
    Opcode.STORE: ("rows", "pixels", "pixel_bytes", "pixel_words"),
    Opcode.ELEMENTWISE: ("words",),
    **dict.fromkeys(
        _GRID_OPCODES,
        (
            *("ifm_height", "ifm_width", "ofm_height", "ofm_width"),
            *("kernel_height", "kernel_width", "channel_steps", "blocks", "depth"),
            *("window_stride", "group_pixels"),
        ),
    ),
}


def _words(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    vector_bytes = records["pixel_bytes"]
    if "lane_offset" in (records.dtype.names or ()):
        vector_bytes = vector_bytes + records["lane_offset"]
    expected = -(-vector_bytes // config.lanes)
    return np.asarray(records["pixel_words"] != expected)


def _folding(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    limit = MAX_FOLD_WORDS * config.lanes
    vector_bytes = records["pixel_bytes"] + records["lane_offset"]
    wide = (vector_bytes > limit) | (records["pixel_step"] > limit)
    plain = records["pixel_step"] != records["pixel_bytes"]
    return np.asarray(np.where(records["fold"] == 1, wide, plain))


def _merging(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    elsewhere = records["destination"] != Destination.SCRATCHPAD
    beyond = records["lane_offset"] >= config.lanes
    return np.asarray(
        np.where(records["merge"] == 1, elsewhere | beyond, records["lane_offset"] != 0)
    )


def _long_rows(_: NpuConfig, records: Records) -> NDArray[np.bool_]:
    row_bytes = records["pixels"] * records["pixel_bytes"]
    return np.asarray(row_bytes >> MAX_STORE_ROW_BITS != 0)


def _buffer_units(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    units = (
        (records["rows"] == 1)
        & (records["pixel_words"] == 1)
        & (records["pixel_bytes"] == config.lanes)
        & (records["row_pitch"] == 0)
        & (records["plane_pitch"] == 0)
    )
    general = (Destination.SCRATCHPAD, Destination.WEIGHTS, Destination.ENCODED)
    return np.asarray(~np.isin(records["destination"], general) & ~units)


def _codes(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    """Nothing but ENCODED has codes; which ones depends on what the hardware decodes."""
    bits, tables, masked = records["code_bits"], records["tables"], records["masked"] == 1
    encoded = records["destination"] == Destination.ENCODED
    clustered = np.isin(tables, (Tables.SHARED, Tables.CHANNELS))
    own = tables == Tables.NONE
    known = np.zeros(len(records), np.bool_)
    if config.clustered_weights:
        known |= clustered & np.isin(bits, (1, 2, 3, 4)) & (~masked | (bits == 4))
    if config.int4_weights:
        known |= own & (bits == 4)
    if config.masked_weights:
        known |= own & (bits == 8) & masked
    else:
        known &= ~masked
    return np.asarray(np.where(encoded, ~known, (bits != 0) | (tables != 0) | masked))


def _encoded(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    pitch = records["row_pitch"]
    whole = (
        (records["region"] == Region.CONSTANTS)
        & (records["pixel_bytes"] == config.lanes)
        & (records["base"] % 2 == 0)
        & (pitch % 2 == 0)
        & (pitch > 0)
        & (pitch <= MAX_CODE_PITCH)
        & (records["plane_pitch"] > 0)
    )
    return np.asarray((records["destination"] == Destination.ENCODED) & ~whole)


def _step_lists(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    unlisted = records["destination"] != Destination.LIST
    legal = config.pruned_weights & (records["region"] == Region.CONSTANTS)
    return np.asarray(~(unlisted | legal))


def _listed(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    listed = records["listed"] == 1
    single = records["kernel_height"] * records["kernel_width"] * records["channel_steps"] == 1
    return np.asarray(
        np.where(listed, single | (not config.pruned_weights), _no_list_base(records))
    )


def _no_list_base(records: Records) -> NDArray[np.bool_]:
    return np.asarray(records["list_base"] != 0)


def _unlisted(_: NpuConfig, records: Records) -> NDArray[np.bool_]:
    return np.asarray((records["listed"] == 1) | _no_list_base(records))


def _depth(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    depth = records["depth"]
    return np.asarray((depth % config.groups_per_word != 0) | (depth > config.accumulator_depth))


def _single_word(config: NpuConfig, records: Records) -> NDArray[np.bool_]:
    whole = (records["depth"] == config.groups_per_word) & (records["channel_steps"] == 1)
    return np.asarray(~whole)


def _shift(_: NpuConfig, records: Records) -> NDArray[np.bool_]:
    shift = records["ofm_shift"]
    return np.asarray((shift < -31) | (shift > MAX_LEFT_SHIFT))


_OUTPUT_RULES: list[tuple[str, Rule]] = [
    (f"ofm_shift must be between -31 and {MAX_LEFT_SHIFT}", _shift)
]

_SINGLE_WORD = "depth must be lanes / channels and channel_steps 1"

_NO_LIST: tuple[str, Rule] = ("listed and list_base must be 0", _unlisted)

_RULES: dict[Opcode, list[tuple[str, Rule]]] = {
    Opcode.LOAD: [
        (
            "destination must be 0 to 6",
            lambda _, r: np.asarray(r["destination"] > max(Destination)),
        ),
        ("pixel_words must be (lane_offset + pixel_bytes) / lanes, rounded up", _words),
        (
            "pixel_step must equal pixel_bytes, or with fold pixel_step and"
            f" lane_offset + pixel_bytes be at most {MAX_FOLD_WORDS} * lanes",
            _folding,
        ),
        (
            "merge needs the scratchpad and lane_offset below lanes; without it lane_offset is 0",
            _merging,
        ),
        (
            "parameters, biases, tables and lists need rows = 1, pixel_words = 1,"
            " pixel_bytes = lanes, pitches 0",
            _buffer_units,
        ),
        (
            "code_bits, tables and masked must be of weights that this hardware decodes, and 0"
            " without destination 5",
            _codes,
        ),
        (
            "encoded weights need region 0, pixel_bytes = lanes, base and row_pitch even, pitches"
            f" not 0, row_pitch at most {MAX_CODE_PITCH}",
            _encoded,
        ),
        ("lists need region 0, and pruned_weights in the hardware", _step_lists),
    ],
    Opcode.STORE: [
        ("pixel_words must be pixel_bytes / lanes, rounded up", _words),
        (f"pixels * pixel_bytes must be below 2**{MAX_STORE_ROW_BITS}", _long_rows),
    ],
    Opcode.CONV: [
        ("depth must be a multiple of lanes / channels, at most accumulator_depth", _depth),
        (
            "listed needs two steps or more, and pruned_weights in the hardware; without it"
            " list_base is 0",
            _listed,
        ),
    ],
    Opcode.DEPTHWISE: [(_SINGLE_WORD, _single_word), _NO_LIST],
    Opcode.MAX_POOL: [(_SINGLE_WORD, _single_word), _NO_LIST],
    Opcode.ELEMENTWISE: [
        *_OUTPUT_RULES,
        ("function must be 0 to 5", lambda _, r: np.asarray(r["function"] > max(Function))),
    ],
}

_GRID_RULES: list[tuple[str, Rule]] = [
    *_OUTPUT_RULES,
    ("window_stride must be 1 or 2", lambda _, r: np.asarray(r["window_stride"] > 2)),
    ("group_pixels must be at most pixels", lambda c, r: np.asarray(r["group_pixels"] > c.pixels)),
]


def illegal_commands(config: NpuConfig, table: CommandTable) -> dict[int, str]:
    """Indices of the commands that the hardware refuses with ILLEGAL_FIELD, each with the rule."""
    found: dict[int, str] = {}
    for opcode, records in table.records.items():
        indices = np.flatnonzero(table.opcodes == opcode)
        rules: list[tuple[str, NDArray[np.bool_]]] = [
            ("a reserved bit is set", table.reserved[opcode])
        ]
        rules += [(f"{name} must not be 0", records[name] == 0) for name in _COUNTS.get(opcode, ())]
        checks = _RULES.get(opcode, []) + (_GRID_RULES if opcode in _GRID_OPCODES else [])
        rules += [(text, rule(config, records)) for text, rule in checks]
        for text, broken in rules:
            for row in np.flatnonzero(broken):
                found.setdefault(int(indices[row]), f"{opcode.name}: {text}")
    return found


def misplaced_config(config: NpuConfig, table: CommandTable) -> int | None:
    """Index of the first command that the hardware refuses with CONFIG_MISMATCH, if there is one.

    CONFIG stands at the beginning and nowhere else, and names the configuration.
    """
    configs = table.opcodes == Opcode.CONFIG
    wrong = configs != (np.arange(len(table)) == 0)
    if configs.any():
        others = table.records[Opcode.CONFIG]["config_id"] != config.config_id
        wrong[np.flatnonzero(configs)[others]] = True
    return int(wrong.argmax()) if wrong.any() else None
