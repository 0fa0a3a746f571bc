"""Rough cycle counts, for choosing tiles and the order of commands only.

They are estimates: what a program really takes is what the simulators count.
"""

from npu.compiler.tasks import GridTask, ceil_div
from rtl.config import NpuConfig
from rtl.isa import Opcode

COMMAND_CYCLES = 20
"""From one command of an engine to the next: start, and draining of the pipeline."""

MEMORY_CYCLES = 30
"""From the start of a transfer to its first data, and from its last to completion."""


def grid_cycles(
    task: GridTask,
    *,
    rows: int,
    columns: int,
    words: int,
    depth: int,
    planes: int,
    config: NpuConfig,
) -> int:
    """Cycles of a CONV, DEPTHWISE or MAX_POOL over `rows x columns` outputs of `words` words.

    `depth` is the groups of channels that all `words` need together in CONV, `planes` the IFM
    planes that it reduces over.
    """
    pixels = task.group_pixels(config)
    if task.kernel.pointwise:
        rows, columns = 1, rows * columns
    groups = rows * ceil_div(columns, pixels)
    steps = task.kernel_steps(config)
    grid = steps * (planes * depth if task.opcode == Opcode.CONV else words)
    output = ceil_div(min(pixels, columns), config.requant_words) * words
    return groups * max(grid, output)


def add_cycles(words: int, config: NpuConfig) -> int:
    """Cycles of an ADD over `words` words: a window of each operand per group of pixels."""
    return max(2 * ceil_div(words, config.pixels), ceil_div(words, config.requant_words))


def transfer_cycles(size: int, words: int, config: NpuConfig) -> int:
    """Cycles in which `size` bytes cross the bus as `words` scratchpad or buffer words."""
    return max(ceil_div(size, config.bus_bytes), words)
