"""`npu run`: one inference, and what it cost."""

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npu.commands.arguments import (
    DEFAULT_CLOCK_MHZ,
    DEFAULT_CONFIG,
    ClockOption,
    ConfigOption,
    ModelArgument,
)
from npu.commands.progress import progress_bar, step_log

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from npu.golden import Comparison
    from npu.model.graph import Graph
    from npu.offload.result import RunResult
    from rtl.config import NpuConfig
    from sim.memory import MemoryConfig
    from sim.waves import Waves

EXIT_NOT_BIT_EXACT = 1
DEFAULT_WINDOW = "0:9999"


class Backend(StrEnum):
    """What executes the operators that the NPU takes."""

    REFERENCE = "reference"
    FUNCTIONAL = "functional"
    CYCLE = "cycle"
    RTL = "rtl"


def run(
    model: ModelArgument,
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="SPEC",
            help="FILE.npy, FILE.npz:key, an image, or random:SEED; once for each input of the "
            "network. int8 arrays are taken as they are, floating-point arrays are quantized. "
            "An image must have the network's height and width; its pixels stand for 0..255, "
            "-1..1 or 0..1, whichever fits the range of the network's input. Default: random:0.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    backend: Annotated[
        Backend,
        typer.Option(
            help="kernels only, command stream, command stream with its exact cycles, or the "
            "hardware in Verilator."
        ),
    ] = Backend.RTL,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Compare every tensor with TensorFlow Lite Micro; exit 1 on a difference.",
        ),
    ] = False,
    json: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write the result as JSON; - is standard output."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Write a timeline for Perfetto: engines, scratchpad, bandwidth (backends cycle "
            "and rtl).",
        ),
    ] = None,
    waves: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Write the values of all signals during --waves-window, as .fst or .vcd "
            "(backend rtl). The first time builds a slower simulator.",
        ),
    ] = None,
    waves_window: Annotated[
        str, typer.Option(metavar="FIRST:LAST", help="Cycles since START to record.")
    ] = DEFAULT_WINDOW,
    clock_mhz: ClockOption = DEFAULT_CLOCK_MHZ,
    latency: Annotated[
        int, typer.Option(metavar="CYCLES", help="Latency of the external memory.")
    ] = 20,
    stall_probability: Annotated[
        float, typer.Option(metavar="P", help="Random stalls of the external memory, 0 to 0.9.")
    ] = 0.0,
    stall_seed: Annotated[int, typer.Option(metavar="SEED", help="Seed of these stalls.")] = 0,
) -> None:
    """Run a network once and report where each operator ran and what it cost."""
    from npu.errors import OutputError
    from npu.inputs import load_inputs
    from npu.model.tflite_reader import read_model
    from npu.report.record import STDOUT, check_output_path, run_record, write_json
    from npu.report.tables import make_console, print_comparison, print_run
    from rtl.config import load_config
    from sim.memory import MemoryConfig

    if trace is not None and backend not in (Backend.CYCLE, Backend.RTL):
        raise OutputError(f"--trace needs --backend cycle or rtl, {backend.value} has no time")
    if waves is not None and backend is not Backend.RTL:
        raise OutputError(f"--waves needs --backend rtl, {backend.value} has no signals")
    if waves is None and waves_window != DEFAULT_WINDOW:
        raise OutputError("--waves-window needs --waves, the file to write")
    recorded = None if waves is None else parse_waves(waves, waves_window)
    check_output_path(json, "--json", stdout=True)
    check_output_path(waves, "--waves")
    check_output_path(trace, "--trace")
    hardware = load_config(config)
    memory = MemoryConfig(
        latency_cycles=latency, stall_probability=stall_probability, stall_seed=stall_seed
    )
    graph = read_model(model)
    inputs = load_inputs(input or [], graph)
    result = _execute(
        graph, inputs, hardware, backend, memory, keep=check, trace=trace, waves=recorded
    )
    comparison = _compare(model, graph, inputs, result, hardware, backend) if check else None

    # standard output belongs to the JSON when that is where it goes
    console = make_console(stderr=json == STDOUT)
    print_run(
        console,
        graph,
        result,
        macs_per_cycle=hardware.macs_per_cycle,
        bus_bytes=hardware.bus_bytes,
        clock_mhz=clock_mhz,
        setting=_setting(config, backend, latency, stall_probability),
    )
    if comparison is not None:
        print_comparison(console, comparison)
    if json is not None:
        record = run_record(
            graph,
            result,
            model=str(model),
            config=config,
            backend=backend.value,
            macs_per_cycle=hardware.macs_per_cycle,
            bus_bytes=hardware.bus_bytes,
            bit_exact=None if comparison is None else comparison.bit_exact,
        )
        write_json(record, json)
    if recorded is not None and recorded.first > (result.cycles or 0):
        raise OutputError(
            f"--waves-window begins in cycle {recorded.first}, the run ended in cycle"
            f" {result.cycles or 0}: '{waves}' holds nothing"
        )
    if comparison is not None and not comparison.bit_exact:
        raise typer.Exit(EXIT_NOT_BIT_EXACT)


def parse_waves(path: Path, window: str) -> "Waves":
    """The request of `--waves` and `--waves-window`; `OutputError` when it is none."""
    from npu.errors import OutputError
    from sim.waves import Waves

    # with more digits the time in the file would not fit into 64 bits
    cycles = re.fullmatch(r"([0-9]{1,15}):([0-9]{1,15})", window)
    if cycles is None:
        raise OutputError(f"--waves-window must be FIRST:LAST in cycles, got '{window}'")
    return Waves(path=path, first=int(cycles[1]), last=int(cycles[2]))


def _execute(
    graph: "Graph",
    inputs: "dict[int, NDArray[Any]]",
    hardware: "NpuConfig",
    backend: Backend,
    memory: "MemoryConfig",
    *,
    keep: bool,
    trace: Path | None,
    waves: "Waves | None",
) -> "RunResult":
    if backend is Backend.REFERENCE:
        from kernels.requantize import Rounding
        from npu.offload.reference_backend import run_on_reference

        return run_on_reference(graph, inputs, Rounding.named(hardware.rounding))
    from npu.offload.backends import backend_name
    from npu.offload.runner import run_network

    with progress_bar(f"running on {backend.value}") as progress:
        return run_network(
            graph,
            inputs,
            config=hardware,
            backend=backend_name(backend.value),
            memory=memory,
            keep_intermediates=keep,
            progress=progress,
            trace=trace,
            account=True,
            waves=waves,
            log=step_log("building the simulator"),
        )


def _compare(
    model: Path,
    graph: "Graph",
    inputs: "dict[int, NDArray[Any]]",
    result: "RunResult",
    hardware: "NpuConfig",
    backend: Backend,
) -> "Comparison":
    """Compare with TFLM, or with the kernels where the hardware does not round as TFLM does."""
    from kernels.requantize import Rounding
    from npu.errors import GoldenError
    from npu.golden import compare, run_golden
    from npu.reference.network import run_reference

    values = {**result.values, **result.outputs}
    rounding = Rounding.named(hardware.rounding)
    if rounding == Rounding.DOUBLE:
        return compare(graph, run_golden(model.read_bytes(), graph, inputs), values)
    if backend is Backend.REFERENCE:
        raise GoldenError(
            f"--check has nothing to compare the reference with: TFLM rounds as double, not as"
            f" {hardware.rounding}"
        )
    golden = run_reference(graph, inputs, rounding=rounding)
    return compare(graph, golden, values, name=f"the kernels ({hardware.rounding} rounding)")


def _setting(config: str, backend: Backend, latency: int, stall_probability: float) -> str:
    if backend is Backend.REFERENCE:
        return "backend reference: no NPU is simulated"
    if backend is Backend.FUNCTIONAL:
        return f"{config}, backend functional: the command stream, without time"
    stalls = f", stalls {stall_probability:g}" if stall_probability else ""
    return f"{config}, backend {backend.value}, memory latency {latency} cycles{stalls}"
