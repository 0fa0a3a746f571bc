"""Rough cycle counts, for choosing tiles and the order of commands only.

They are estimates: what a program really takes is what the simulators count.
"""

from npu.compiler.terms.geometry import ceil_div
from npu.compiler.terms.normalize import joins_rows
from npu.compiler.terms.tasks import GridTask
from rtl.config import NpuConfig
from rtl.isa import Opcode

COMPUTE_OVERHEAD = 24
"""From the last step of a compute command to the first of the next: the pipeline drains."""

TRANSFER_OVERHEAD = 8
"""Cycles that a LOAD or STORE costs its engine besides its data; consecutive ones overlap."""

ROW_OVERHEAD = 6
"""Cycles between the starts of rows that are apart in external memory, at least."""

MEMORY_LATENCY = 30
"""From the start of a transfer to its first data, when the engine was idle."""


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
    if joins_rows(task):
        rows, columns = 1, rows * columns
    groups = rows * ceil_div(columns, pixels)
    steps = task.kernel_steps(config)
    grid = steps * (planes * depth if task.opcode == Opcode.CONV else words)
    blocks = ceil_div(words, config.block_words) if task.opcode == Opcode.CONV else words
    row = ceil_div(min(pixels, columns), config.requant_words) * config.requant_parts
    output = row * words + blocks
    return groups * max(grid, output)


def group_count(task: GridTask, config: NpuConfig) -> int:
    """Groups of pixels of a task's outputs, computed at once."""
    rows, columns = task.ofm.height, task.ofm.width
    if joins_rows(task):
        rows, columns = 1, rows * columns
    return rows * ceil_div(columns, task.group_pixels(config))


def transfer_cycles(size: int, words: int, config: NpuConfig) -> int:
    """Cycles in which `size` bytes cross the bus as `words` scratchpad or buffer words."""
    return max(ceil_div(size, config.bus_bytes), words)


def row_transfer_cycles(rows: int, size: int, words: int, config: NpuConfig) -> int:
    """Cycles of a transfer of `size` bytes that are `rows` rows apart in external memory."""
    overhead = ROW_OVERHEAD * (rows - 1)
    return max(transfer_cycles(size, words, config), overhead)
