"""`npu run`: one inference, and what it cost."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from npu.commands.arguments import (
    DEFAULT_CONFIG,
    ClockOption,
    ConfigOption,
    ModelArgument,
    QuietOption,
)
from npu.commands.progress import progress_bar, step_log
from npu.offload.backends import TIMED_BACKENDS, BackendName

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from npu.model.graph import Graph
    from npu.offload.result import RunResult
    from npu.report.record import RunSetting
    from rtl.config import NpuConfig
    from sim.memory import MemoryConfig
    from sim.waves import Waves

EXIT_NOT_BIT_EXACT = 1
DEFAULT_WINDOW = "0:9999"

InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="SPEC",
        help="FILE.npy, FILE.npz:key, an image, or random:SEED; once for each input of the "
        "network. Arrays of the input's type are taken as they are, floating-point arrays are "
        "quantized. An image must have the network's height and width, or --resize scales it; its "
        "pixels stand for "
        "0..255, -1..1 or 0..1, whichever fits the range of the network's input. Default: "
        "random:0.",
        show_default=False,
    ),
]
ResizeOption = Annotated[
    bool,
    typer.Option(
        "--resize", help="Scale the middle of an image of another size to the network's input."
    ),
]
BackendOption = Annotated[
    BackendName,
    typer.Option(
        help="kernels only, command stream, command stream with its exact cycles, or the "
        "hardware in Verilator."
    ),
]
CheckOption = Annotated[
    bool,
    typer.Option(
        "--check", help="Compare every tensor with TensorFlow Lite Micro; exit 1 on a difference."
    ),
]
JsonOption = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="Write the result as JSON; - is standard output."),
]
HtmlOption = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.html", help="Write a page with figures, one file that opens offline."
    ),
]
ExplorerOption = Annotated[
    Path | None,
    typer.Option(metavar="OUT.json", help="Write cycles by operator as data of Model Explorer."),
]
TraceOption = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT",
        help="Write a timeline for Perfetto: engines, scratchpad, bandwidth (backends cycle and "
        "rtl).",
    ),
]
WavesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT",
        help="Write the values of all signals during --waves-window, as .fst or .vcd "
        "(backend rtl). The first time builds a slower simulator.",
    ),
]
WindowOption = Annotated[
    str, typer.Option(metavar="FIRST:LAST", help="Cycles since START to record.")
]
LatencyOption = Annotated[
    int, typer.Option(metavar="CYCLES", help="Latency of the external memory.")
]
StallOption = Annotated[
    float, typer.Option(metavar="P", help="Random stalls of the external memory, 0 to 0.9.")
]
SeedOption = Annotated[int, typer.Option(metavar="SEED", help="Seed of these stalls.")]


def run(
    model: ModelArgument,
    input: InputOption = None,
    resize: ResizeOption = False,
    config: ConfigOption = DEFAULT_CONFIG,
    backend: BackendOption = "rtl",
    check: CheckOption = False,
    json: JsonOption = None,
    html: HtmlOption = None,
    model_explorer: ExplorerOption = None,
    trace: TraceOption = None,
    waves: WavesOption = None,
    waves_window: WindowOption = DEFAULT_WINDOW,
    clock_mhz: ClockOption = None,
    latency: LatencyOption = 20,
    stall_probability: StallOption = 0.0,
    stall_seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Run a network once, and say what each layer cost."""
    from npu.errors import GoldenError, OutputError
    from npu.inference import compare_with_golden, golden_name
    from npu.inputs import load_inputs
    from npu.model.tflite_reader import read_model
    from npu.report.record import STDOUT, RunSetting, check_output_path
    from npu.report.savings import decoder_lines
    from npu.report.tables import make_console, print_comparison, print_line, print_run
    from npu.synth.clocks import chosen_clock
    from rtl.config import load_config
    from sim.memory import MemoryConfig

    check_output_path(html, "--html")
    check_output_path(model_explorer, "--model-explorer")
    recorded = check_files(backend, json, trace, waves, waves_window)
    hardware = load_config(config)
    clock = chosen_clock(clock_mhz, hardware)
    memory = MemoryConfig(
        latency_cycles=latency, stall_probability=stall_probability, stall_seed=stall_seed
    )
    graph = read_model(model)
    inputs = load_inputs(input or [], graph, resize=resize)
    if check and golden_name(hardware, backend) is None:
        raise GoldenError(
            f"--check has nothing to compare the reference with: TFLM rounds as double, not as"
            f" {hardware.rounding}"
        )
    result = _execute(
        graph,
        inputs,
        hardware,
        backend,
        memory,
        keep=check,
        trace=trace,
        waves=recorded,
        quiet=json == STDOUT,
        silent=quiet,
    )
    comparison = None
    if check:
        comparison = compare_with_golden(graph, inputs, result, config=hardware, backend=backend)

    if json or html or model_explorer:
        setting = RunSetting(
            model=str(model),
            config=config,
            hardware=hardware,
            backend=backend,
            memory=memory,
            clock_mhz=clock.mhz,
            clock_origin=clock.origin,
            inputs=tuple(input or ()),
            resized=resize,
        )
        exact = None if comparison is None else comparison.bit_exact
        write_files(graph, result, setting, exact, json, html, model_explorer)

    # standard output belongs to the JSON when that is where it goes
    console = make_console(stderr=json == STDOUT, quiet=quiet)
    print_run(
        console,
        graph,
        result,
        macs_per_cycle=hardware.macs_per_cycle,
        bus_bytes=hardware.bus_bytes,
        clock_mhz=clock.mhz,
        setting=_setting(config, backend, latency, stall_probability, clock.origin),
    )
    for line in decoder_lines((program for program, _ in result.runs), hardware):
        print_line(console, line)
    if comparison is not None:
        wrong = comparison.bit_exact is False
        print_comparison(make_console(stderr=True) if quiet and wrong else console, comparison)
    if recorded is not None and recorded.first > (result.cycles or 0):
        raise OutputError(
            f"--waves-window begins in cycle {recorded.first}, the run ended in cycle"
            f" {result.cycles or 0}: '{waves}' holds nothing"
        )
    if comparison is not None and comparison.bit_exact is False:
        raise typer.Exit(EXIT_NOT_BIT_EXACT)


def write_files(
    graph: "Graph",
    result: "RunResult",
    setting: "RunSetting",
    bit_exact: bool | None,
    json: Path | None,
    html: Path | None,
    model_explorer: Path | None,
) -> None:
    """Write a run in each form that a file is given for. Raises `OutputError`."""
    from npu.report.model_explorer import node_data
    from npu.report.page.write import write_page
    from npu.report.picture import picture_record
    from npu.report.record import run_record, write_json

    record = run_record(graph, result, setting, bit_exact=bit_exact)
    if json is not None:
        write_json(record, json)
    if html is not None:
        write_page({**record, **picture_record(graph, result)}, html)
    if model_explorer is not None:
        name = f"{setting.config}, {setting.backend}"
        write_json(node_data(graph, result, name), model_explorer)


def check_files(
    backend: BackendName, json: Path | None, trace: Path | None, waves: Path | None, window: str
) -> "Waves | None":
    """Refuse files that the run cannot write, before it; returns what `--waves` asks for.

    Raises `OutputError`.
    """
    from npu.errors import OutputError
    from npu.report.record import check_output_path

    if trace is not None and backend not in TIMED_BACKENDS:
        raise OutputError(f"--trace needs --backend cycle or rtl, {backend} has no time")
    if waves is not None and backend != "rtl":
        raise OutputError(f"--waves needs --backend rtl, {backend} has no signals")
    if waves is None and window != DEFAULT_WINDOW:
        raise OutputError("--waves-window needs --waves, the file to write")
    recorded = None if waves is None else parse_waves(waves, window)
    check_output_path(json, "--json", stdout=True)
    check_output_path(waves, "--waves")
    check_output_path(trace, "--trace")
    return recorded


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
    backend: BackendName,
    memory: "MemoryConfig",
    *,
    keep: bool,
    trace: Path | None,
    waves: "Waves | None",
    quiet: bool,
    silent: bool,
) -> "RunResult":
    from npu.inference import infer

    with progress_bar(f"running on {backend}", quiet=quiet, silent=silent) as progress:
        return infer(
            graph,
            inputs,
            config=hardware,
            backend=backend,
            memory=memory,
            keep_intermediates=keep,
            trace=trace,
            waves=waves,
            progress=progress,
            log=step_log("building the simulator", silent=silent),
        )


def _setting(
    config: str, backend: BackendName, latency: int, stall_probability: float, clock: str
) -> str:
    if backend == "reference":
        return "backend reference: no NPU is simulated"
    if backend == "functional":
        return f"{config}, backend functional: the command stream, without time"
    stalls = f", stalls {stall_probability:g}" if stall_probability else ""
    return f"{config}, backend {backend}, memory latency {latency} cycles{stalls}, clock {clock}"
