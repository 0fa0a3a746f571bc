"""The NPU as one Verilog file, for simulators and synthesis."""

import re
from pathlib import Path
from typing import Any

from amaranth._toolchain import yosys as toolchain
from amaranth.back import rtlil

from rtl.config import NpuConfig
from rtl.errors import NpuError
from rtl.npu import Npu

TOP_NAME = "npu"

_CLEANED_ATTRIBUTES = "generator top src amaranth.hierarchy amaranth.decoding init"

# `proc` as far as registers with enables: Amaranth's own back end stops before, and a simulator
# then evaluates every register's input in every cycle, which costs a factor of three
_PASSES = (
    "proc",
    "opt_expr",
    "opt_clean",
    "opt_dff",
    "opt_expr",
    "opt_clean",
    "memory_collect",
)

# memories have no initial contents in silicon; Amaranth emits all of them as zeros
_MEMORY_INIT = re.compile(r"^ *cell \$meminit_v2 .*?\n  end\n", re.M | re.S)


class VerilogError(NpuError):
    """The Verilog file cannot be written."""


def verilog_text(config: NpuConfig) -> str:
    """Verilog of module `npu` and everything below it; the same text for the same design."""
    design = rtlil.convert(Npu(config), name=TOP_NAME, emit_src=False)
    design = _MEMORY_INIT.sub("", design)
    remove = " ".join(f"-remove {name}" for name in _CLEANED_ATTRIBUTES.split())
    script = [
        f"read_rtlil <<rtlil\n{design}\nrtlil",
        *_PASSES,
        f"attrmap {remove}",
        f"attrmap -modattr {remove}",
        "write_verilog -norename",
    ]
    find_yosys: Any = toolchain.find_yosys
    text = find_yosys(lambda version: version >= (0, 40)).run(
        ["-q", "-"], "\n".join(script), ignore_warnings=True
    )
    return str(text)


def write_verilog(config: NpuConfig, path: str | Path) -> None:
    """Write `verilog_text(config)` to a file.

    Raises
    ------
    VerilogError : the file cannot be written.
    """
    text = verilog_text(config)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise VerilogError(f"cannot write Verilog to {path}: {error.strerror}") from None
