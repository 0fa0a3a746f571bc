"""`npu demo`: the shipped network on the shipped images, on the hardware, checked bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from npu.commands.arguments import DEFAULT_CONFIG, ClockOption, ConfigOption, QuietOption
from npu.commands.progress import progress_bar, step_log
from npu.offload.backends import SimulatorName

if TYPE_CHECKING:
    from rich.table import Table

    from npu.golden import Comparison
    from npu.model.graph import Graph
    from npu.offload.result import RunResult
    from rtl.config import NpuConfig

NETWORK = "fashion_resnet"
SHIPPED_IMAGES = 20
EXIT_NOT_BIT_EXACT = 1


@dataclass(frozen=True, slots=True)
class Inference:
    """One image: its label and the class that the network gives it, the run and its check."""

    label: int
    predicted: int
    result: "RunResult"
    comparison: "Comparison"


def demo(
    config: ConfigOption = DEFAULT_CONFIG,
    backend: Annotated[
        SimulatorName,
        typer.Option(help="command stream, cycle model, or the hardware in Verilator."),
    ] = "rtl",
    images: Annotated[
        int, typer.Option(min=1, max=SHIPPED_IMAGES, help="How many of the shipped images to run.")
    ] = SHIPPED_IMAGES,
    clock_mhz: ClockOption = None,
    quiet: QuietOption = False,
) -> None:
    """Run the shipped network on real images.

    Every tensor is compared with what TensorFlow Lite Micro computes.

    The first use of a configuration builds its simulator, which takes about a minute.
    """
    from npu import zoo
    from npu.model.tflite_reader import read_model
    from npu.report.tables import (
        layer_table,
        make_console,
        print_comparison,
        print_line,
        totals_line,
    )
    from npu.synth.clocks import chosen_clock
    from rtl.config import load_config

    hardware = load_config(config)
    model = zoo.model_path(NETWORK)
    graph = read_model(model)
    _, _, class_names = zoo.load_images()
    console = make_console(quiet=quiet)
    print_line(
        console,
        f"{NETWORK}: a residual network of {len(graph.operators)} int8 operators, on {images} "
        f"photographs of clothing that it was not trained on",
    )
    inferences = _run(graph, model.read_bytes(), hardware, backend, images, silent=quiet)

    first = inferences[0].result
    clock = chosen_clock(clock_mhz, hardware)
    setting = f"{config}, backend {backend}, one image, clock {clock.origin}"
    table = layer_table(first, hardware.macs_per_cycle, hardware.bus_bytes, console.width)
    console.print(table)
    print_line(
        console,
        totals_line(
            first, macs_per_cycle=hardware.macs_per_cycle, clock_mhz=clock.mhz, setting=setting
        ),
    )
    console.print(image_table(inferences, class_names, clock.mhz))
    right = sum(i.predicted == i.label for i in inferences)
    print_line(console, f"predicted as labelled: {right} of {len(inferences)} images")
    total = sum_comparisons([i.comparison for i in inferences])
    failed = total.bit_exact is False
    print_comparison(make_console(stderr=True) if quiet and failed else console, total)
    if not total.bit_exact:
        raise typer.Exit(EXIT_NOT_BIT_EXACT)


def _run(
    graph: "Graph",
    model: bytes,
    hardware: "NpuConfig",
    backend: SimulatorName,
    count: int,
    *,
    silent: bool,
) -> list[Inference]:
    from npu import zoo
    from npu.golden import compare, run_golden
    from npu.offload.runner import NetworkRunner

    pixels, labels, _ = zoo.load_images()
    runner = NetworkRunner(
        graph,
        config=hardware,
        backend=backend,
        keep_intermediates=True,
        log=step_log("building the simulator", silent=silent),
    )
    inferences = []
    with progress_bar(f"running images on {backend}", silent=silent) as progress:
        for position in range(count):
            progress(position, count)
            inputs = {graph.inputs[0]: zoo.to_int8(pixels[position : position + 1])}
            result = runner.run(inputs)
            golden = run_golden(model, graph, inputs)
            inferences.append(
                Inference(
                    label=int(labels[position]),
                    predicted=int(result.outputs[graph.outputs[0]].argmax()),
                    result=result,
                    comparison=compare(graph, golden, {**result.values, **result.outputs}),
                )
            )
    return inferences


def image_table(
    inferences: Sequence[Inference], class_names: Sequence[str], clock_mhz: float
) -> "Table":
    """One row per image: predicted class beside the label, and what the inference took."""
    from rich.box import SIMPLE
    from rich.table import Table

    from npu.report.tables import NONE_SIGN, milliseconds

    def cycles_and_time(cycles: int | None) -> tuple[str, str]:
        if cycles is None:
            return NONE_SIGN, NONE_SIGN
        return f"{cycles:,}", f"{milliseconds(cycles, clock_mhz):.3f}"

    known = [i.result.cycles for i in inferences if i.result.cycles is not None]
    cycles, time = cycles_and_time(sum(known) if known else None)
    table = Table(box=SIMPLE, show_footer=True, pad_edge=False, collapse_padding=True)
    table.add_column("image", justify="right")
    table.add_column("label", footer="total", overflow="fold")
    table.add_column("predicted", overflow="fold")
    table.add_column("cycles", justify="right", footer=cycles)
    table.add_column(f"ms at {clock_mhz:g} MHz", justify="right", footer=time)
    table.add_column("bit-exact", no_wrap=True)
    for number, inference in enumerate(inferences):
        wrong = inference.predicted != inference.label
        table.add_row(
            str(number),
            class_names[inference.label],
            class_names[inference.predicted] + (" (wrong)" if wrong else ""),
            *cycles_and_time(inference.result.cycles),
            "yes" if inference.comparison.bit_exact else "NO",
        )
    return table


def sum_comparisons(comparisons: Sequence["Comparison"]) -> "Comparison":
    """Several comparisons as one: their counts added, their mismatches in order."""
    from npu.golden import Comparison

    return Comparison(
        outputs_equal=sum(c.outputs_equal for c in comparisons),
        outputs=sum(c.outputs for c in comparisons),
        intermediates_equal=sum(c.intermediates_equal for c in comparisons),
        intermediates_compared=sum(c.intermediates_compared for c in comparisons),
        intermediates=sum(c.intermediates for c in comparisons),
        mismatches=tuple(m for c in comparisons for m in c.mismatches),
    )
