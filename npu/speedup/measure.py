"""Measures a network on a rung: compiles the firmware, runs the SoC, checks every output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from npu.errors import SpeedupError
from npu.model.graph import Graph
from npu.offload.network import CompiledNetwork
from npu.reference.network import run_reference
from npu.speedup.image import network_image, read_outputs, read_results
from npu.speedup.rungs import RUNGS, Rung
from npu.speedup.store import Measurement, find, keep, measurement_key
from rtl.config import NpuConfig
from sim.soc.cores import core_version
from sim.soc.firmware.image_format import HEADER, RESULTS, unpack_record
from sim.soc.firmware_build import COMPILERS, find_compiler, network_firmware
from sim.soc.memory_map import ExitCode
from sim.soc.run import SocResult, SocRunner, check_wait_states

Inputs = Mapping[int, NDArray[Any]]
Log = Callable[[str], None]
Progress = Callable[[str, int, int], None]
"""Called with the rung's name, operators begun and operators in all."""

# far more than any rung needs
_CYCLES_PER_MAC_LIMIT = 1000
_CYCLES_LIMIT = 200_000_000

# of the simulation
_CYCLES_PER_SECOND = 1_500_000


@dataclass(frozen=True)
class Setting:
    """What a comparison depends on besides the network.

    Parameters
    ----------
    config : the NPU.
    wait_states : of every memory, for the CPUs and the NPU alike.
    compiler : `zig`, `gcc`, or None: what is measured already, else the first that is installed.
    rebuild : measure again, whatever is known.
    """

    config: NpuConfig
    wait_states: int = 0
    compiler: str | None = None
    rebuild: bool = False

    def __post_init__(self) -> None:
        check_wait_states(self.wait_states)


@dataclass(frozen=True)
class Entry:
    """A rung's measurement, and whether it was known already."""

    rung: Rung
    key: str
    measurement: Measurement
    cached: bool


def measure_all(
    graph: Graph,
    inputs: Inputs,
    setting: Setting,
    log: Log | None = None,
    progress: Progress | None = None,
) -> list[Entry]:
    """Measure a network on every rung, or look it up.

    Parameters
    ----------
    graph, inputs : the network and what it runs on, by tensor index.
    setting : hardware and compiler.
    log : called with one line about each step of a build. progress : see `Progress`.

    Raises
    ------
    NpuError : the network has an operator that the firmware or the NPU cannot run, or something is
        not known and a tool to measure it is missing; the message says which.
    """
    session = _Session(graph, inputs, setting, log, progress)
    # what cannot be measured is found before hours of simulation
    images = {rung: session.image(rung) for rung in RUNGS}
    known = {rung: session.find(rung, images[rung]) for rung in RUNGS}
    if not all(known.values()):
        find_compiler(setting.compiler)
        for rung in RUNGS:
            if known[rung] is None:
                core_version(rung.core)
        session.expect()
    return [known[rung] or session.measure(rung, images[rung]) for rung in RUNGS]


def measure_rung(
    graph: Graph,
    inputs: Inputs,
    rung: Rung,
    setting: Setting,
    *,
    only_known: bool = False,
    log: Log | None = None,
) -> Entry | None:
    """Measure a network on one rung, or look it up; with `only_known`, None when it is not known.

    Raises
    ------
    NpuError : see `measure_all`.
    """
    session = _Session(graph, inputs, setting, log, None)
    image = session.image(rung)
    known = session.find(rung, image)
    if known is not None or only_known:
        return known
    session.expect()
    return session.measure(rung, image)


class _Session:
    def __init__(
        self,
        graph: Graph,
        inputs: Inputs,
        setting: Setting,
        log: Log | None,
        progress: Progress | None,
    ) -> None:
        self.graph = graph
        self.inputs = inputs
        self.setting = setting
        self.log = log
        self.progress = progress
        self._macs = sum(graph.macs(op) for op in graph.operators)
        self._expected: dict[int, NDArray[Any]] = {}

    def image(self, rung: Rung) -> bytes:
        network = CompiledNetwork(self.graph, self.setting.config) if rung.with_npu else None
        return network_image(self.graph, self.inputs, network)

    def key(self, rung: Rung, image: bytes, compiler: str) -> str:
        return measurement_key(
            rung,
            image,
            wait_states=self.setting.wait_states,
            compiler=compiler,
            npu=self.setting.config if rung.with_npu else None,
        )

    def find(self, rung: Rung, image: bytes) -> Entry | None:
        if self.setting.rebuild:
            return None
        chosen = self.setting.compiler
        for compiler in COMPILERS if chosen is None else (chosen,):
            key = self.key(rung, image, compiler)
            measurement = find(key)
            if measurement is not None:
                return Entry(rung, key, measurement, cached=True)
        return None

    def expect(self) -> None:
        """Compute what every rung has to give; before the first is measured."""
        self._expected = run_reference(self.graph, self.inputs)

    def measure(self, rung: Rung, image: bytes) -> Entry:
        compiler = find_compiler(self.setting.compiler)
        self._log(f"{rung.name}: compiling the firmware")
        firmware = network_firmware(
            rung.core, rung.kernels, with_npu=rung.with_npu, compiler=compiler.name
        )
        config = self.setting.config if rung.with_npu else None
        runner = SocRunner(rung.core.name, config, self.setting.wait_states, self.log)
        seconds = self._macs * rung.cycles_per_mac / _CYCLES_PER_SECOND
        self._log(f"{rung.name}: running the network, which may take {seconds:.0f} s")
        result = runner.run(firmware, image, self._moves(rung, image), self._limit())
        self._check(rung, image, result)
        table = read_results(result.ram)
        measurement = Measurement(
            rung=rung.name,
            cycles=table.cycles,
            npu_cycles=sum(operator.npu_cycles for operator in table.operators),
            code_bytes=result.code_bytes,
            ram_bytes=table.arena_bytes + firmware.static_bytes + result.stack_bytes,
            image_bytes=len(image),
            compiler=compiler.version,
            core_version=core_version(rung.core),
            flags=firmware.flags,
        )
        key = self.key(rung, image, compiler.name)
        keep(key, measurement)
        return Entry(rung, key, measurement, cached=False)

    def _check(self, rung: Rung, image: bytes, result: SocResult) -> None:
        """Refuse a run that failed, or whose outputs are not the reference kernels'."""
        if result.exit_code != ExitCode.OK:
            known = result.exit_code in set(ExitCode)
            code = ExitCode(result.exit_code).name if known else str(result.exit_code)
            failed = unpack_record(RESULTS, result.ram.data)["failed_operator"]
            raise SpeedupError(
                f"{rung.name}: the firmware stopped with {code} at operator {failed} of the image"
            )
        for index, value in read_outputs(self.graph, image, result.ram).items():
            expected = np.asarray(self._expected[index])
            wrong = int(np.count_nonzero(np.asarray(value) != expected))
            if wrong:
                raise SpeedupError(
                    f"{rung.name}: output {self.graph.tensors[index].name!r} differs from the"
                    f" reference kernels in {wrong} of {expected.size} values"
                )

    def _limit(self) -> int:
        each = _CYCLES_PER_MAC_LIMIT * (1 + self.setting.wait_states)
        return _CYCLES_LIMIT + each * self._macs

    def _moves(self, rung: Rung, image: bytes) -> Callable[[int, int], None] | None:
        progress = self.progress
        if progress is None:
            return None
        total = unpack_record(HEADER, image)["operator_count"]
        return lambda cycles, markers: progress(rung.name, min(markers, total), total)

    def _log(self, message: str) -> None:
        if self.log is not None:
            self.log(message)
