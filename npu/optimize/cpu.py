"""What a network takes on a CPU without an NPU: measured on RTL, or estimated."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.optimize.measure import StageResult
from npu.speedup.measure import Setting, measure_rung
from npu.speedup.rungs import CPU_RUNGS
from rtl.config import NpuConfig
from rtl.errors import NpuError

FASTEST = CPU_RUNGS[-1]
"""The CPU that the NPU is compared with: the one with the fewest cycles."""

Log = Callable[[str], None]


def with_cpu_cycles(
    stages: Sequence[StageResult],
    folder: Path,
    config: NpuConfig,
    *,
    measure: bool,
    log: Log | None = None,
) -> tuple[list[StageResult], str]:
    """The stages with the cycles of `FASTEST`, and a line that says where these come from.

    A CPU multiplies zeros too: stages with as many MACs share one number. It is looked up among
    what was measured before, or, with `measure`, measured in RTL simulation; else it is estimated
    from the MACs.

    Parameters
    ----------
    folder : where the stages' files lie. measure : run what is not known yet.
    """
    cycles: dict[int, int] = {}
    reasons: list[str] = []
    for stage in stages:
        if stage.macs in cycles:
            continue
        try:
            known = _cycles((folder / stage.file).read_bytes(), config, measure=measure, log=log)
        except NpuError as error:
            known = None
            reasons.append(f"{stage.stage}: {error}")
        if known is None:
            return _estimated(stages, measure, reasons)
        cycles[stage.macs] = known
    told = f"CPU: {FASTEST.name}, measured in RTL simulation; it multiplies zeros too"
    return [replace(s, cpu_cycles=cycles[s.macs], cpu_measured=True) for s in stages], told


def _cycles(content: bytes, config: NpuConfig, *, measure: bool, log: Log | None) -> int | None:
    graph = read_model_bytes(content, "stage")
    entry = measure_rung(
        graph,
        load_inputs([], graph),
        FASTEST,
        Setting(config=config),
        only_known=not measure,
        log=log,
    )
    return None if entry is None else entry.measurement.cycles


def _estimated(
    stages: Sequence[StageResult], measure: bool, reasons: Sequence[str]
) -> tuple[list[StageResult], str]:
    per_mac = FASTEST.cycles_per_mac
    told = f"CPU: {FASTEST.name}, estimated by {per_mac:g} cycles a MAC, measured were 1 to 3.5; "
    if reasons:
        told += f"not measured ({'; '.join(reasons)})"
    else:
        told += "--measure-cpu measures it in RTL simulation"
    found = [
        replace(stage, cpu_cycles=round(per_mac * stage.macs), cpu_measured=False)
        for stage in stages
    ]
    return found, told
