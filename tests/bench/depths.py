"""How long one inference takes at each depth, and on the TFLM interpreter, in one run."""

from npu.reference.network import PreparedNetwork
from rtl.config import PRESETS
from sim.cycle import simulate
from sim.functional.simulator import FunctionalSimulator
from sim.rtl_runner import RtlSimulator
from tests.bench.networks import Network, tflm_inference
from tests.bench.simulators import programs_with_inputs
from tests.bench.timing import repeat

CONFIG = "npu256"
RUNS = 20


def depths_table(network: Network) -> str:
    """CPU milliseconds per inference, best of `RUNS`, in Markdown.

    Everything is prepared: kernels packed, programs compiled and decoded, simulators built.
    """
    config = PRESETS[CONFIG]
    prepared = PreparedNetwork(network.graph)
    work = programs_with_inputs(network, CONFIG)
    functional, rtl = FunctionalSimulator(config), RtlSimulator(config)
    depths = {
        "TFLM's interpreter": (tflm_inference(network), "the golden bits"),
        "`reference`": (lambda: prepared.run(network.inputs), "Numba kernels, no hardware"),
        "`functional`": (
            lambda: [functional.run(program, inputs) for program, inputs in work],
            "the NPU's command stream",
        ),
        "`cycle`": (
            lambda: [simulate(program) for program, _ in work],
            "a model of every engine, queue and bus; its bits are those of `functional`",
        ),
        "`rtl` (default)": (
            lambda: [rtl.run(program, inputs) for program, inputs in work],
            "the Amaranth design in Verilator",
        ),
    }
    timings = repeat(*(run for run, _ in depths.values()), runs=RUNS, seconds=20.0)
    lines = [f"| `--backend` | what runs | ms, {network.name} |", "|---|---|---:|"]
    for (name, (_, what)), timing in zip(depths.items(), timings, strict=True):
        lines.append(f"| {name} | {what} | {timing.best_ms:.2f} |")
    return "\n".join(lines) + "\n"
