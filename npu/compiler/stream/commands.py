"""Single commands: their fields, the memory that they touch, and an estimate of their cycles."""

from npu.compiler.stream.estimate import grid_cycles, transfer_cycles
from npu.compiler.stream.listing import Listed
from npu.compiler.stream.pieces import weight_words
from npu.compiler.terms.command import ADDRESS_MASK, CommandDraft
from npu.compiler.terms.geometry import Area, ceil_div
from npu.compiler.terms.layout import input_planes
from npu.compiler.terms.memory import Access, Memory
from npu.compiler.terms.normalize import FIELD_LIMIT, joins_rows
from npu.compiler.terms.piece import Piece
from npu.compiler.terms.tasks import GridTask
from npu.compiler.terms.view import View
from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import Destination, Opcode, Region
from sim.step_list import MASKS
from sim.weight_stream import Encoding

MAX_FLAT_PIXELS = (1 << 16) - 1
"""The widest output row that a command can hold."""


def load_constants(
    destination: Destination,
    offset: int,
    base: int,
    size: int,
    config: NpuConfig,
    encoding: Encoding | None = None,
) -> CommandDraft:
    """LOAD `size` bytes at `offset` of the constants to a buffer; ENCODED with their `encoding`.

    `base` counts weight words, parameter blocks, or units of the table.
    """
    units = size // config.lanes
    rows, codes, cycles = 1, {}, transfer_cycles(size, units, config)
    match destination:
        case Destination.ENCODED:
            assert encoding is not None
            written = Access(Memory.WEIGHTS, base, encoding.units // config.channels)
            base *= config.channels
            rows = encoding.blocks
            codes = {
                "row_pitch": encoding.pitch,
                "plane_pitch": encoding.pairs,
                "code_bits": encoding.code_bits,
                "tables": encoding.tables,
                "masked": int(encoding.masked),
            }
            # two units are decoded at once without masks
            decoded = encoding.units if encoding.masked else encoding.units // 2
            cycles = max(cycles, decoded)
        case Destination.WEIGHTS:
            written = Access(Memory.WEIGHTS, base, units // config.channels)
            base *= config.channels
        case Destination.TABLE:
            written = Access(Memory.TABLE, base, units)
        case Destination.LIST:
            written = Access(Memory.LIST, base, units)
        case _:
            blocks = units // block_units(destination)
            written = Access(Memory.PARAMETERS, base, blocks)
    fields = {
        "offset": offset,
        "region": Region.CONSTANTS,
        "destination": destination,
        "rows": rows,
        "pad_value": 0,
        "row_bytes": size // rows,
        "row_stride": size // rows if rows > 1 else 0,
        "pad_left": 0,
        "fold": 0,
        "merge": 0,
        "lane_offset": 0,
        "pixels": units // rows,
        "pixel_bytes": config.lanes,
        "pixel_step": config.lanes,
        "pixel_words": 1,
        "base": base,
        "row_pitch": 0,
        "plane_pitch": 0,
        **codes,
    }
    return CommandDraft(Opcode.LOAD, fields, (), (written,), cycles)


def block_units(destination: Destination) -> int:
    """Units of `lanes` bytes that a LOAD brings for each parameter block."""
    return BIAS_BYTES if destination == Destination.BIASES else PARAMETER_BYTES


def grid(
    task: GridTask,
    piece: Piece,
    area: Area,
    ifm: View,
    ofm: View,
    weight_base: int,
    parameter_base: int,
    config: NpuConfig,
    steps: tuple[int, Listed] | None = None,
) -> CommandDraft:
    """CONV, DEPTHWISE or MAX_POOL: `piece` of the outputs in `area`; `steps` : where their list
    begins, and what it says."""
    window = task.window
    end = piece.end(config)
    first_row, end_row = task.input_rows(area.y0, area.y1)
    top = area.y0 * window.stride_y - window.pad_top
    left = area.x0 * window.stride_x - window.pad_left
    first_column = max(left, 0)
    # rows behind the map are padding as much as rows in front of it
    pad_top = first_row - top if top < task.ifm.height else FIELD_LIMIT
    pad_left = first_column - left
    rows, columns = area.y1 - area.y0, area.x1 - area.x0
    ifm_rows, ifm_columns = end_row - first_row, task.ifm.width - first_column
    if task.opcode == Opcode.CONV:
        planes = input_planes(task, piece.first, end, config)
    else:
        planes = piece.first, end
    taps = task.taps_per_step(config)
    origin = ifm.address(planes[0], first_row - pad_top, first_column) - pad_left
    taps_y, taps_x = window.height, ceil_div(window.width, taps)
    tap_step = taps if taps > 1 else window.dilation_x
    # pixels of dense rows follow each other
    dense = columns == ifm.width == ifm.row_pitch == ofm.width == ofm.row_pitch
    fits = pad_top * columns <= FIELD_LIMIT and max(rows, ifm_rows) * columns <= MAX_FLAT_PIXELS
    if joins_rows(task) and dense and fits:
        taps_y, taps_x = 1, window.height
        tap_step = window.dilation_y * columns if taps_x > 1 else 1
        pad_top, pad_left = 0, pad_top * columns
        ifm_rows, ifm_columns = 1, ifm_rows * columns
        rows, columns = 1, rows * columns
    pixels = task.group_pixels(config)
    words = end - piece.first
    fields = {
        "ifm_origin": origin & ADDRESS_MASK,
        "ifm_plane_pitch": ifm.plane_pitch & ADDRESS_MASK,
        "ifm_row_step": window.stride_y * ifm.row_pitch & ADDRESS_MASK,
        "ifm_tap_row_step": window.dilation_y * ifm.row_pitch & ADDRESS_MASK,
        "group_step": pixels * window.stride_x,
        "tap_step": tap_step,
        "window_stride": task.window_stride(),
        "group_pixels": pixels,
        "ifm_zero_point": task.ifm_zero_point,
        "activation_max": task.activation_max,
        "ifm_height": ifm_rows,
        "ifm_width": ifm_columns,
        "ofm_height": rows,
        "ofm_width": columns,
        "kernel_height": taps_y,
        "kernel_width": taps_x,
        "channel_steps": planes[1] - planes[0] if task.opcode == Opcode.CONV else 1,
        "blocks": piece.blocks,
        "depth": piece.depth,
        "stride_y": window.stride_y,
        "dilation_y": window.dilation_y,
        "pad_top": pad_top,
        "pad_left": pad_left,
        "weight_base": weight_base,
        "parameter_base": parameter_base,
        "activation_min": task.activation_min,
        "ofm_base": ofm.address(piece.first, area.y0, area.x0),
        "ofm_plane_pitch": ofm.plane_pitch & ADDRESS_MASK,
        "ofm_row_pitch": ofm.row_pitch,
        "ofm_zero_point": task.ofm_zero_point,
        **_scaling(task),
    }
    reads = [ifm.access(planes, (first_row, end_row))]
    if task.parameters is not None:
        reads.append(Access(Memory.PARAMETERS, parameter_base, words))
    if task.weights is not None:
        read = weight_words(task, piece, config) if steps is None else steps[1].words
        reads.append(Access(Memory.WEIGHTS, weight_base, read))
    cycles = grid_cycles(
        task,
        rows=rows,
        columns=columns,
        words=words,
        depth=words * config.groups_per_word,
        planes=planes[1] - planes[0],
        config=config,
    )
    if steps is not None:
        first, found = steps
        fields |= {"listed": 1, "list_base": first}
        reads.append(Access(Memory.LIST, first, len(found.rows) // MASKS))
        cycles = round(cycles * found.share)
    writes = (ofm.access((piece.first, end), (area.y0, area.y1)),)
    return CommandDraft(task.opcode, fields, tuple(reads), writes, cycles)


def _scaling(task: GridTask) -> dict[str, int]:
    """Fields for what all outputs have in common."""
    shared = task.parameters != Destination.PARAMETERS
    return {
        "ofm_multiplier": int(task.multiplier[0]) if shared else 0,
        "ofm_shift": int(task.shift[0]) if shared else 0,
        "shared_scale": int(shared),
        "no_bias": int(task.parameters is None),
    }
