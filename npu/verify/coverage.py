"""Which kinds of commands were run: each feature of each opcode that a configuration has."""

from collections.abc import Callable, Iterable, Mapping

from npu.verify.weights import FORMS, decodes
from rtl.config import NpuConfig
from rtl.isa import Command, Destination, Function, Opcode

Feature = Callable[[NpuConfig, Command], bool]

_TRANSFER: Mapping[str, Feature] = {
    "one row": lambda config, c: c["rows"] == 1,
    "rows": lambda config, c: c["rows"] > 1,
    "channels that fill words": lambda config, c: c["pixel_bytes"] % config.lanes == 0,
    "channels that do not": lambda config, c: c["pixel_bytes"] % config.lanes != 0,
    "several words a pixel": lambda config, c: c["pixel_words"] > 1,
}

_GRID: Mapping[str, Feature] = {
    "kernel 1x1": lambda config, c: c["kernel_height"] == c["kernel_width"] == 1,
    "kernel of one row": lambda config, c: c["kernel_height"] == 1 < c["kernel_width"],
    "kernel of one column": lambda config, c: c["kernel_width"] == 1 < c["kernel_height"],
    "kernel of rows and columns": lambda config, c: min(c["kernel_height"], c["kernel_width"]) > 1,
    "windows one apart": lambda config, c: c["window_stride"] == 1,
    "windows two apart": lambda config, c: c["window_stride"] == 2,
    "one pixel a group": lambda config, c: c["group_pixels"] == 1,
    "stride down 1": lambda config, c: c["stride_y"] == 1,
    "stride down 2": lambda config, c: c["stride_y"] == 2,
    "stride down 3 or more": lambda config, c: c["stride_y"] > 2,
    "dilation": lambda config, c: c["dilation_y"] > 1,
    "padding above": lambda config, c: c["pad_top"] > 0,
    "padding left": lambda config, c: c["pad_left"] > 0,
    "no padding": lambda config, c: c["pad_top"] == c["pad_left"] == 0,
    "a group that is not full": lambda config, c: c["ofm_width"] % c["group_pixels"] != 0,
    "several blocks": lambda config, c: c["blocks"] > 1,
    "one scale for all": lambda config, c: c["shared_scale"] == 1,
    "no biases": lambda config, c: c["no_bias"] == 1,
    "a narrower clamp": lambda config, c: c["activation_min"] > -128 or c["activation_max"] < 127,
}

_CONV: Mapping[str, Feature] = {
    "several channel steps": lambda config, c: c["channel_steps"] > 1,
    "channels side by side": lambda config, c: c["depth"] > config.groups_per_word,
}


def _destination(destination: Destination) -> Feature:
    return lambda config, c: c["destination"] == destination


def _encoding(form: tuple[int, int, bool]) -> Feature:
    def found(config: NpuConfig, c: Command) -> bool:
        encoded = c["destination"] == Destination.ENCODED
        return encoded and (c["code_bits"], c["tables"], bool(c["masked"])) == form

    return found


def _function(function: Function) -> Feature:
    return lambda config, c: c["function"] == function


def features(config: NpuConfig) -> dict[Opcode, dict[str, Feature]]:
    """What there is to cover, by opcode and name."""
    absent = {
        *([] if config.decodes_weights else [Destination.ENCODED]),
        *([] if config.pruned_weights else [Destination.LIST]),
    }
    load = {
        **_TRANSFER,
        **{f"into {d.name}": _destination(d) for d in Destination if d not in absent},
        "fold": lambda config, c: c["fold"] == 1,
        "merge": lambda config, c: c["merge"] == 1,
        "padding left": lambda config, c: c["pad_left"] > 0,
    }
    for bits, tables, masked in FORMS:
        if config.decodes_weights and decodes(config, bits, tables, bool(masked)):
            name = f"{bits} bits, tables {tables.name}{', masked' * bool(masked)}"
            load[name] = _encoding((bits, tables, bool(masked)))
    conv = {**_GRID, **_CONV}
    if config.block_words == 1:
        # a word of results has all channels that a block can have
        del conv["channels side by side"]
    if config.pruned_weights:
        conv["a list of steps"] = lambda config, c: c["listed"] == 1
    elementwise: dict[str, Feature] = {f.name: _function(f) for f in Function}
    elementwise |= {
        "second operand repeated": lambda config, c: c["ifm2_repeat"] == 1,
        "second operand scaled": lambda config, c: c["scale_second"] == 1,
        "a narrower clamp": _GRID["a narrower clamp"],
    }
    return {
        Opcode.LOAD: load,
        Opcode.STORE: dict(_TRANSFER),
        Opcode.CONV: conv,
        Opcode.DEPTHWISE: dict(_GRID),
        Opcode.MAX_POOL: dict(_GRID),
        Opcode.ELEMENTWISE: elementwise,
    }


class Coverage:
    """Counts features of the commands that were run."""

    def __init__(self, config: NpuConfig) -> None:
        self.config = config
        self._features = features(config)
        self.counts = {
            f"{opcode.name}: {name}": 0
            for opcode, known in self._features.items()
            for name in known
        }

    def add(self, commands: Iterable[Command]) -> None:
        """Count these commands."""
        for command in commands:
            for name, feature in self._features.get(command.opcode, {}).items():
                self.counts[f"{command.opcode.name}: {name}"] += feature(self.config, command)

    @property
    def missed(self) -> list[str]:
        """Features that no command had."""
        return [name for name, count in self.counts.items() if not count]
