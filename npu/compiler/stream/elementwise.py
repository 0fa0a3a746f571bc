"""The commands of a function of two maps, or of one by table."""

from npu.compiler.terms.command import CommandDraft
from npu.compiler.terms.geometry import Rows, ceil_div
from npu.compiler.terms.memory import Access, Memory
from npu.compiler.terms.tasks import ElementwiseTask
from npu.compiler.terms.view import View
from rtl.config import NpuConfig
from rtl.isa import Function, Opcode


def elementwise(
    task: ElementwiseTask, rows: Rows, a: View, b: View, ofm: View, config: NpuConfig
) -> list[CommandDraft]:
    """ELEMENTWISE over rows `first..end`.

    One command, or one per plane where planes are not adjacent or the second operand has a word
    for each, or one per row and plane where it has a word or a row of words for each. TABLE
    computes from `a` alone.
    """
    planes = task.extent.planes(config.lanes)
    length = (rows[1] - rows[0]) * ofm.width
    dense = (a, ofm) if task.function == Function.TABLE else (a, b, ofm)
    joined = task.second is None and all(view.plane_pitch == length for view in dense)
    bands = [rows]
    if task.second is not None and task.second.pixels > 1:
        bands = [(row, row + 1) for row in range(*rows)]
    spans = [(0, planes)] if joined else [(plane, plane + 1) for plane in range(planes)]
    return [_command(task, band, span, (a, b, ofm), config) for span in spans for band in bands]


def _command(
    task: ElementwiseTask,
    rows: Rows,
    span: tuple[int, int],
    views: tuple[View, View, View],
    config: NpuConfig,
) -> CommandDraft:
    """The command over some rows of planes `span`."""
    a, b, ofm = views
    words = (span[1] - span[0]) * (rows[1] - rows[0]) * ofm.width
    reads = [a.access(span, rows)]
    second = task.second or task.extent
    second_rows = (0, 1) if second.height == 1 else rows
    if task.function == Function.TABLE:
        reads.append(Access(Memory.TABLE, 0, config.table_rows))
        # a second operand is fetched, whatever the function
        b, second_rows = a, rows
    else:
        reads.append(b.access(span, second_rows))
    fields = {
        "ifm_base": a.address(span[0], rows[0]),
        "ifm2_base": b.address(span[0], second_rows[0]),
        "ofm_base": ofm.address(span[0], rows[0]),
        "operand_multiplier": task.operand_multiplier,
        "operand_right_shift": task.operand_right_shift,
        "scale_second": int(task.scale_second),
        "ofm_multiplier": task.multiplier,
        "words": words,
        "ifm_zero_point": task.zero_points[0],
        "ifm2_zero_point": task.zero_points[1],
        "ofm_zero_point": task.ofm_zero_point,
        "activation_min": task.activation_min,
        "activation_max": task.activation_max,
        "ofm_shift": task.shift,
        "function": task.function,
        "ifm2_repeat": int(task.second is not None and second.width == 1),
    }
    return CommandDraft(
        Opcode.ELEMENTWISE,
        fields,
        tuple(reads),
        (ofm.access(span, rows),),
        ceil_div(words, config.requant_words) * config.requant_parts,
    )
