"""Points of the front synthesized for real, beside what was estimated of them."""

from collections.abc import Callable, Sequence

from npu.explore.outcome import Outcome
from npu.explore.search import Trial
from npu.synth.design import npu_design
from npu.synth.process import Tools, interruptible
from npu.synth.synthesis import Listener, flat_figures
from npu.synth.targets import Family
from rtl.config import NpuConfig

Synthesized = dict[NpuConfig, dict[str, float]]
"""Figures of `npu.synth.resources.figures` by configuration."""


def finalists(outcome: Outcome, count: int) -> list[Trial]:
    """The middle of the front, then what lies at equal distances along it."""
    found, chosen = outcome.front, outcome.chosen
    if chosen is None:
        return []
    places = [round(at * (len(found) - 1) / max(count - 1, 1)) for at in range(count)]
    wanted = [chosen, *(found[place] for place in places)]
    unique = [trial for at, trial in enumerate(wanted) if trial not in wanted[:at]]
    return unique[:count]


def synthesize_finalists(
    trials: Sequence[Trial], log: Callable[[str], None], phase: Callable[[str, str], None]
) -> Synthesized:
    """Resources of each on ECP5, one after the other, or from the cache.

    Raises
    ------
    SynthesisError : yosys is not installed, or failed.
    """
    found: Synthesized = {}
    with interruptible(), Tools(1) as tools:
        for number, trial in enumerate(trials):
            config = trial.config
            if config not in found:
                design = npu_design(config, f"point {number}", Family.ECP5)
                listener = Listener(log, phase)
                found[config] = flat_figures(design, Family.ECP5, tools, listener)
    return found
