"""A property of a block, and its proof by yosys' own solver.

The block is elaborated with a monitor beside it. A proof by induction holds for every run of any
length; a bounded one for all runs of that many cycles from reset on. Inputs are free but for what
the proof assumes.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from amaranth import hdl
from amaranth.hdl import Module, Signal

TIMEOUT = 600
"""Seconds that a proof may take."""

# memories become registers, checks what the solver takes
_PREPARE = (
    *("read_rtlil design.il", "proc", "flatten", "memory_map"),
    # what no property looks at may still be probed
    *("setattr -set keep 1 w:dut.*", "opt_clean"),
    *("chformal -lower", "async2sync", "dffunmap"),
)


# the stubs of Amaranth 0.5 do not know the one, and ask the others for a message
rtlil: Any = import_module("amaranth.back.rtlil")
Assert: Any = hdl.Assert
Assume: Any = hdl.Assume


@dataclass
class Bench:
    """What a monitor is written with.

    Attributes
    ----------
    m : the module around the block, which is its submodule `dut`.
    inputs : free signals. probes : signals that stand for one inside the block, by its name there.
    cuts : free signals in place of one inside the block, likewise.
    """

    m: Module = field(default_factory=Module)
    inputs: list[Signal] = field(default_factory=list)
    probes: dict[str, Signal] = field(default_factory=dict)
    cuts: dict[str, Signal] = field(default_factory=dict)

    def free(self, shape: Any, name: str) -> Any:
        """A signal that may have any value in any cycle."""
        signal = Signal(shape, name=name)
        self.inputs.append(getattr(signal, "as_value", lambda: signal)())
        return signal

    def drive(self, *signals: Any) -> None:
        """Connect inputs of the block to signals that may have any value."""
        for number, signal in enumerate(signals):
            value = self.free(signal.shape(), f"input{len(self.inputs)}_{number}")
            self.m.d.comb += signal.eq(value)

    def probe(self, inside: str, width: int) -> Any:
        """A signal of the block by its name, with those of its submodules in front."""
        signal = Signal(width, name=f"probe{len(self.inputs)}")
        self.inputs.append(signal)
        self.probes[inside] = signal
        return signal

    def cut(self, inside: str, shape: Any) -> Any:
        """A signal of the block that may have any value instead of its own, in any cycle."""
        signal = self.free(shape, f"cut{len(self.inputs)}")
        self.cuts[inside] = signal
        return signal


@dataclass(frozen=True)
class Proof:
    """A property.

    Attributes
    ----------
    block : whose. says : the property in words, with what it assumes.
    build : makes the bench. bug : a signal inside the block and what it is connected to instead,
        a fault with which the property does not hold.
    steps : cycles of the induction, or of the bounded proof; the bug shows within them.
    bounded : for runs of `steps` cycles only. slow : for `make formal` alone.
    """

    block: str
    says: str
    build: Callable[[], Bench]
    bug: tuple[str, str]
    steps: int = 8
    bounded: bool = False
    slow: bool = False

    @property
    def kind(self) -> str:
        """For which runs it holds."""
        return f"{self.steps} cycles from reset" if self.bounded else "any run, by induction"


@dataclass(frozen=True)
class Verdict:
    """`holds`: proved. `refuted`: a run from reset breaks it, whose trace is in `output`.

    Neither: the induction does not close within its steps.
    """

    holds: bool
    refuted: bool
    seconds: float
    output: str


def prove(proof: Proof, *, bug: bool = False) -> Verdict:
    """Prove a property, or with `bug` try to, of the block with its fault.

    Raises
    ------
    RuntimeError : neither proved nor refuted: yosys failed, or took too long.
    """
    bench = proof.build()
    text = rtlil.convert(bench.m, name="top", ports=bench.inputs, emit_src=False)
    cut = [f"connect -set {_wire(inside, s)} {s.name}" for inside, s in bench.cuts.items()]
    connected = [f"connect -set {s.name} {_wire(inside, s)}" for inside, s in bench.probes.items()]
    planted = [f"connect -set @dut.{proof.bug[0]}@ {proof.bug[1]}"] if bug else []
    solve = "sat -tempinduct -prove-asserts -set-assumes -set rst 0"
    solve += f" -maxsteps {proof.steps}" + " -tempinduct-baseonly" * proof.bounded
    passes = [*_PREPARE, "hierarchy -top top", *planted, *cut, *connected, "opt_clean"]
    passes.append(f"{solve} -verify")
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "design.il").write_text(text, encoding="utf-8")
        run = subprocess.run(
            [sys.executable, "-c", _WORKER, json.dumps(passes)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    output = run.stdout + run.stderr
    refuted = "SAT temporal induction proof finished - model found" in output
    proved = "Induction step proven: SUCCESS!" in output or (
        proof.bounded and "Reached maximum number of time steps -> proved base case" in output
    )
    unknown = "Reached maximum number of time steps -> proof failed" in output
    if proved == (refuted or unknown):
        raise RuntimeError(f"{proof.block}: yosys neither proves nor refutes:\n{output[-2000:]}")
    return Verdict(proved, refuted, time.perf_counter() - begin, output)


def _wire(inside: str, signal: Signal) -> str:
    return f"@dut.{inside}:{len(signal)}@"


# a name in @...@ is that of one wire, of several that are alike but for $N the one of the width
_WORKER = r"""
import json, re, sys
from pyosys import libyosys
design = libyosys.Design()

def resolve(match):
    name, _, width = match[1].partition(":")
    found = {
        wire.name.str()[1:]: wire.width
        for wire in design.top_module().selected_wires()
        if re.sub(r"\$\d+$", "", wire.name.str()[1:]) == name
    }
    fitting = [key for key, size in found.items() if not width or size == int(width)]
    if name in fitting:
        return name
    if len(fitting) != 1:
        sys.exit(f"{len(fitting)} wires are {match[1]}: {found}")
    return fitting[0]

for command in json.loads(sys.argv[1]):
    libyosys.run_pass(re.sub("@(.*?)@", resolve, command), design)
"""


def past(bench: Bench, value: Any, name: str) -> Any:
    """What a value was in the cycle before, 0 in the first."""
    held = Signal(value.shape(), name=name)
    bench.m.d.sync += held.eq(value)
    return held


def watch_item(
    bench: Bench, *, push: Any, item: Any, pop: Any, level: Any, capacity: int
) -> tuple[Signal, Signal, Signal]:
    """Pick any item that enters a queue; returns whether it is inside, how many leave before it,
    and its value."""
    m = bench.m
    pick = bench.free(1, "pick")
    inside, ahead = Signal(), Signal(range(capacity + 1))
    value = Signal(len(item))
    with m.If(~inside & pick & push):
        m.d.sync += [inside.eq(1), value.eq(item), ahead.eq(level - pop)]
    with m.Elif(inside & pop):
        m.d.sync += [inside.eq(ahead != 0), ahead.eq(ahead - 1)]
    return inside, ahead, value
