"""RTL cycles per inference, beside Vela's estimate for an Ethos-U55 of as many MACs."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console

from npu.report.roofline import bound_by
from npu.report.tables import print_line
from rtl.errors import NpuError
from tests.bench import vela
from tests.bench.measure import Machine, Measurement
from tests.bench.networks import Network, networks
from tests.bench.tables import NONE_SIGN, factor, new_table, percent, thousands

CONFIGS = ("npu64", "npu128", "npu256")
QUICK_CONFIGS = ("npu256",)
LAYER_CONFIG = "npu256"

_CAUSES = ("busy", "output stage", "weights", "parameters", "activations", "store", "starting")
"""What the compute engine did or waited for, as `sim.cycle.accounting` names it."""

ASKED = {
    "mlperf_ic_resnet8": 60_000,
    "mlperf_vww_mbv1_96": 52_000,
    "mlperf_kws_dscnn": 18_000,
    "mlperf_ad_toycar": 35_000,
    "mlperf_sww_1dconv": 10_000,
    "mlperf_ic_resnet_large": 340_000,
    "tflm_mobilenet_v2_224": 1_900_000,
}
"""The most cycles that are asked for on npu256."""


def run(console: Console, *, quick: bool) -> list[dict[str, Any]]:
    """Measure every network on every configuration; returns one record for each."""
    chosen = networks(quick=quick)
    estimates = _estimates(console, chosen, QUICK_CONFIGS if quick else CONFIGS)
    records: list[dict[str, Any]] = []
    for config in QUICK_CONFIGS if quick else CONFIGS:
        machine = Machine(config)
        table = new_table(
            f"{config}: 1000 cycles per inference in RTL simulation, {_sizes(machine)}",
            *("network", "MMAC", "cycles", "utilization", "limit", "U55 (Vela)", "U55 / ours"),
            *("asked", "met", "bit-exact"),
        )
        measured: list[Measurement] = []
        for network in chosen:
            estimate = estimates.get((network.name, config))
            try:
                measurement = machine.measure(network)
            except NpuError as error:
                print_line(console, f"{network.name} on {config}: {error}", style="bold red")
                records.append({"network": network.name, "config": config, "error": str(error)})
                continue
            measured.append(measurement)
            asked = _asked(network.name, config, estimates)
            table.add_row(*_row(measurement, estimate, asked))
            records.append(
                {
                    **measurement.record(),
                    "vela": None if estimate is None else asdict(estimate),
                    "asked": asked,
                }
            )
        console.print(table)
        for line in _notes(measured, estimates):
            print_line(console, line)
        if config == LAYER_CONFIG:
            for measurement in measured:
                _print_layers(console, measurement)
    return records


def _estimates(
    console: Console, chosen: list[Network], configs: tuple[str, ...]
) -> dict[tuple[str, str], vela.Estimate]:
    try:
        print_line(
            console,
            f"U55: estimates of Vela {vela.version()}, run now, everything in SRAM",
        )
    except vela.VelaError as error:
        print_line(console, f"no estimates for U55: {error}", style="yellow")
        return {}
    found = {}
    for network in chosen:
        for config in configs:
            try:
                found[network.name, config] = vela.estimate(network.path, _macs(config))
            except vela.VelaError as error:
                print_line(console, f"{network.name}: {error}", style="yellow")
    return found


def _asked(
    network: str, config: str, estimates: dict[tuple[str, str], vela.Estimate]
) -> int | None:
    """The most cycles that are asked for: of Vela's estimate the same share as on npu256."""
    asked = ASKED.get(network)
    if asked is None or config == LAYER_CONFIG:
        return asked
    own, reference = (estimates.get((network, name)) for name in (config, LAYER_CONFIG))
    if own is None or reference is None:
        return None
    return round(asked * own.cycles / reference.cycles)


def _sizes(machine: Machine) -> str:
    config = machine.config
    return (
        f"{config.scratchpad_kib} KiB of scratchpad, {config.weight_buffer_kib} KiB of weight"
        f" buffer, external memory of {config.bus_bytes} bytes a cycle and"
        f" {machine.rtl.memory.latency_cycles} cycles of latency"
    )


def _macs(config: str) -> int:
    return int(config.removeprefix("npu"))


def _row(measurement: Measurement, estimate: vela.Estimate | None, asked: int | None) -> list[str]:
    met = NONE_SIGN if asked is None else "yes" if measurement.cycles <= asked else "NO"
    return [
        measurement.network,
        f"{measurement.macs / 1e6:.2f}",
        thousands(measurement.cycles),
        percent(measurement.utilization),
        thousands(measurement.limit),
        thousands(estimate.cycles if estimate else None),
        factor(estimate.cycles / measurement.cycles if estimate else None),
        thousands(asked),
        met,
        "yes" if measurement.bit_exact else "NO",
    ]


def _notes(
    measured: list[Measurement], estimates: dict[tuple[str, str], vela.Estimate]
) -> Iterator[str]:
    """What is not in the cycles of each side."""
    for measurement in measured:
        on_cpu = [layer.kind for layer in measurement.layers if layer.placed != "NPU"]
        estimate = estimates.get((measurement.network, measurement.config))
        vela_cpu = "" if estimate is None else f"; Vela leaves {estimate.cpu_operators} there"
        if on_cpu:
            yield (
                f"{measurement.network}: {', '.join(on_cpu)} on the CPU, not in the cycles"
                f"{vela_cpu}"
            )


def _print_layers(console: Console, measurement: Measurement) -> None:
    table = new_table(
        f"{measurement.network} on {measurement.config}: cycles by operator",
        *("operator", "MACs", "cycles", "share", "utilization", "bound by"),
        *(*_CAUSES, "other"),
    )
    for layer in measurement.layers:
        name = f"{layer.index} {layer.kind}"
        if layer.cycles is None or layer.account is None:
            where = "on the CPU" if layer.placed != "NPU" else "free"
            table.add_row(name, f"{layer.macs:,}", NONE_SIGN, NONE_SIGN, NONE_SIGN, where)
            continue
        cause, share = bound_by(layer.account)
        parts = [layer.account.compute.get(part, 0) for part in _CAUSES]
        table.add_row(
            name,
            f"{layer.macs:,}",
            f"{layer.cycles:,}",
            percent(layer.cycles / measurement.cycles),
            percent(layer.utilization if layer.macs else None),
            f"{cause} {percent(share)}",
            *(f"{cycles:,}" for cycles in (*parts, layer.cycles - sum(parts))),
        )
    console.print(table)
    total = measurement.cycles
    counts = ", ".join(
        f"{name} {100 * count / total:.0f} %"
        for name, count in measurement.counters.items()
        if name != "CYCLES"
    )
    print_line(console, f"counters, in % of cycles: {counts}")
