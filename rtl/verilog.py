"""The NPU as one Verilog file, for simulators and synthesis."""

import re
from pathlib import Path
from typing import Any

from amaranth._toolchain import yosys as toolchain
from amaranth.back import rtlil

from rtl.config import NpuConfig
from rtl.errors import NpuError
from rtl.memory import MACRO_NAME
from rtl.multiplier import Target
from rtl.npu import Npu

TOP_NAME = "npu"

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


# all attributes but those that tell synthesis how to build a memory
_ATTRIBUTE = re.compile(r"\(\* (?!ram_style|no_rw_check).*? \*\)\s*")

_MODULE = re.compile(r"^module (\S+?)\s*\(.*?^endmodule$", re.M | re.S)
_IDENTIFIER = re.compile(r"\\npu\.\S+")

_RTLIL_MODULE = re.compile(r"^module (\S+)\n.*?^end$", re.M | re.S)
_RTLIL_MACRO = re.compile(rf"^ *memory .*\\{MACRO_NAME}$", re.M)
_MACRO = re.compile(rf"^ *reg (?:\[\d+:0\] )?({MACRO_NAME}) \[", re.M)


# `a, a, a` in a concatenation: sign extension, which simulators evaluate faster as `{3{a}}`
_REPETITION = re.compile(r"(?<=[{ ])(\w+(?:\[\d+\])?)(?:, \1){2,}(?=[ },])")


class VerilogError(NpuError):
    """The Verilog file cannot be written."""


def verilog_text(config: NpuConfig, target: Target | None = None, *, flat: bool = False) -> str:
    """Verilog of module `npu` and everything below it; the same text for the same design.

    Parameters
    ----------
    flat : one module; only memories (`rtl.memory`) stay modules of their own.
    target : whose cells are instantiated; None: plain logic for any target and for simulators.
    """
    design = rtlil.convert(Npu(config), name=TOP_NAME, platform=target, emit_src=False)
    design = _MEMORY_INIT.sub("", design)
    if flat:
        design = _keep_memories(design)
    passes = ("flatten", "opt_clean") if flat else ()
    return _share_modules(_to_verilog(design, *passes))


def block_verilog(block: Any, name: str) -> str:
    """Verilog of one block and everything below it; its ports are the block's members.

    Parameters
    ----------
    block : an `amaranth.lib.wiring.Component`. name : of its module.
    """
    design = rtlil.convert(block, name=name, platform=None, emit_src=False)
    return _to_verilog(_MEMORY_INIT.sub("", design))


def _to_verilog(design: str, *passes: str) -> str:
    """Verilog without attributes, of RTLIL."""
    script = [
        f"read_rtlil <<rtlil\n{design}\nrtlil",
        *_PASSES,
        *passes,
        "attrmap -remove init",
        "write_verilog",
    ]
    find_yosys: Any = toolchain.find_yosys
    text = find_yosys(lambda version: version >= (0, 40)).run(
        ["-q", "-"], "\n".join(script), ignore_warnings=True
    )
    return _ATTRIBUTE.sub("", str(text))


def block_rtlil(block: Any, target: Target | None = None) -> str:
    """RTLIL of one block as the module `block`, for synthesis of it alone.

    Parameters
    ----------
    block : an `amaranth.lib.wiring.Component`. target : as for `verilog_text`.
    """
    text = rtlil.convert(block, name="block", platform=target, emit_src=False)
    return _MEMORY_INIT.sub("", text)


def _keep_memories(design: str) -> str:
    """Mark the modules of memories, so that flattening leaves them."""

    def mark(module: re.Match[str]) -> str:
        is_memory = _RTLIL_MACRO.search(module[0]) is not None
        return f"attribute \\keep_hierarchy 1\n{module[0]}" if is_memory else module[0]

    return _RTLIL_MODULE.sub(mark, design)


def _share_modules(text: str) -> str:
    """Keep one copy of modules that are alike but for their names, and give all readable names.

    Amaranth writes a module per instance. Simulators and synthesis handle a shared one better:
    Verilator compiles its code once and calls it for every instance.
    """
    bodies = {match[1]: match[0] for match in _MODULE.finditer(text)}
    while True:
        first: dict[str, str] = {}
        same: dict[str, str] = {}
        for name, body in bodies.items():
            kept = first.setdefault(body.replace(name, "", 1), name)
            if kept != name:
                same[name] = kept
        if not same:
            break
        bodies = {name: _rename(body, same) for name, body in bodies.items() if name not in same}
    names = _readable(bodies)
    joined = "\n\n".join(_rename(body, names) for body in bodies.values()) + "\n"
    return _REPETITION.sub(lambda found: f"{{{found[0].count(',') + 1}{{{found[1]}}}}}", joined)


def _rename(body: str, names: dict[str, str]) -> str:
    return _IDENTIFIER.sub(lambda found: names.get(found[0], found[0]), body)


def _readable(bodies: dict[str, str]) -> dict[str, str]:
    """Verilog names without escapes for modules by hierarchical path; no counters where names are
    unique. A memory has the name of its shape instead, wherever it is."""
    names: dict[str, str] = {}
    for path, body in bodies.items():
        macro = _MACRO.search(body)
        if macro is not None:
            names[path] = f"{TOP_NAME}_{macro[1]}"
            continue
        plain = re.sub(r"\$\d+", "", path).removeprefix("\\").replace(".", "_")
        short = re.sub(r"[0-9_]+$", "", plain)
        names[path] = plain if short in names.values() else short
    return names


def write_verilog(
    config: NpuConfig, path: str | Path, target: Target | None = None, *, flat: bool = False
) -> None:
    """Write `verilog_text(config, target, flat=flat)` to a file.

    Raises
    ------
    VerilogError : the file cannot be written.
    """
    text = verilog_text(config, target, flat=flat)
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise VerilogError(f"cannot write Verilog to {path}: {error.strerror}") from None
