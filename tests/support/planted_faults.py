"""Faults planted into the netlist, in one build: a block sees one of its inputs wrong."""

import re
from collections.abc import Mapping

FIRST_SWITCH = 2001
"""A BUS_TIMEOUT, so long that it never comes, switches a fault on: the next ones the others."""

Fault = tuple[str, str, str]
"""An input of a block, when it is seen wrong, and which bits are flipped then."""


def switch(faults: Mapping[str, Fault], block: str) -> int:
    """What to write to BUS_TIMEOUT so that a block is faulty."""
    return FIRST_SWITCH + list(faults).index(block)


def plant(text: str, faults: Mapping[str, Fault]) -> str:
    """The netlist with all faults, by module, off.

    A port keeps its name and its value, so that in waves it is right.
    """
    for module, (port, condition, flips) in faults.items():
        start = text.index(f"module {module} (")
        end = text.index("endmodule", start)
        body = text[start:end]
        header = body.index(";") + 1
        ports, rest = body[:header], body[header:]
        found = re.search(rf"^ *input ((?:\[\d+:0\] )?){port} ?;$", rest, re.M)
        assert found is not None, f"{module} has no input {port}"
        width = found[1]
        rest = re.sub(rf"(?<![\w.\\]){port}\b(?! *\()", f"{port}_seen", rest)
        for kind in ("input", "wire"):
            rest = rest.replace(f"{kind} {width}{port}_seen;", f"{kind} {width}{port};")
        on = f"npu.control.timeout == 16'd{switch(faults, module)} && ({condition})"
        fault = f"wire {width}{port}_seen = {port} ^ (({on}) ? {flips} : 0);\n"
        text = f"{text[:start]}{ports}\n{fault}{rest}{text[end:]}"
    return text
