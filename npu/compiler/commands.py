"""Single commands: their fields, the memory that they touch, and an estimate of their cycles."""

from dataclasses import dataclass

from npu.compiler.estimate import grid_cycles, transfer_cycles
from npu.compiler.hazards import Access, Memory
from npu.compiler.layout import Fold, input_planes
from npu.compiler.normalize import FIELD_LIMIT
from npu.compiler.pieces import Piece, weight_words
from npu.compiler.tasks import Extent, GridTask, Region, ceil_div
from rtl.config import BIAS_BYTES, PARAMETER_BYTES, NpuConfig
from rtl.isa import ADDRESS_BITS, Destination, Opcode
from rtl.isa import Region as MemoryRegion

ADDRESS_MASK = (1 << ADDRESS_BITS) - 1
MAX_FLAT_PIXELS = (1 << 16) - 1
"""The widest output row that a command can hold."""


@dataclass(frozen=True)
class Prepared:
    """A command without its waits."""

    opcode: Opcode
    fields: dict[str, int]
    reads: tuple[Access, ...]
    writes: tuple[Access, ...]
    cycles: int


@dataclass(frozen=True, slots=True)
class View:
    """Rows `row0 .. row0 + rows` of a feature map, dense in the scratchpad from word `base`."""

    base: int
    row0: int
    rows: int
    width: int
    planes: int

    @property
    def plane_pitch(self) -> int:
        """Words from one plane to the next."""
        return self.rows * self.width

    @property
    def words(self) -> int:
        """Words that the view occupies."""
        return self.planes * self.plane_pitch

    def address(self, plane: int, row: int, column: int = 0) -> int:
        """Word address; rows and columns outside the view give imaginary addresses."""
        return self.base + plane * self.plane_pitch + (row - self.row0) * self.width + column

    def access(self, planes: tuple[int, int], rows: tuple[int, int]) -> Access:
        """The words of planes `first..end` and rows `first..end`."""
        start = self.address(planes[0], rows[0])
        length = (rows[1] - rows[0]) * self.width
        count = planes[1] - planes[0]
        return Access(Memory.SCRATCHPAD, start, length, count, self.plane_pitch)


def load_rows(
    view: View,
    extent: Extent,
    region: MemoryRegion,
    offset: int,
    rows: tuple[int, int],
    config: NpuConfig,
) -> Prepared:
    """LOAD rows `first..end` of the map of `extent` at byte `offset` of `region`."""
    row_bytes = extent.width * extent.channels
    pixels = (rows[1] - rows[0]) * extent.width
    start = offset + rows[0] * row_bytes
    size = pixels * extent.channels
    fields = {
        "offset": start,
        "region": region,
        "destination": Destination.SCRATCHPAD,
        "rows": 1,
        "pad_value": 0,
        "row_bytes": size,
        "row_stride": 0,
        "pad_left": 0,
        "fold": 0,
        "pixels": pixels,
        "pixel_bytes": extent.channels,
        "pixel_step": extent.channels,
        "pixel_words": view.planes,
        "base": view.address(0, rows[0]),
        "row_pitch": 0,
        "plane_pitch": view.plane_pitch & ADDRESS_MASK,
    }
    return Prepared(
        Opcode.LOAD,
        fields,
        (Access(Memory.ARENA, start, size),) if region == MemoryRegion.ARENA else (),
        (view.access((0, view.planes), rows),),
        transfer_cycles(size, pixels * view.planes, config),
    )


def load_folded(
    view: View,
    extent: Extent,
    fold: Fold,
    zero_point: int,
    offset: int,
    rows: tuple[int, int],
    config: NpuConfig,
) -> Prepared:
    """LOAD rows `first..end` of the map of `extent`, columns folded into lanes."""
    row_bytes = extent.width * extent.channels
    count = rows[1] - rows[0]
    start = offset + rows[0] * row_bytes
    fields = {
        "offset": start,
        "region": MemoryRegion.ARENA,
        "destination": Destination.SCRATCHPAD,
        "rows": count,
        "pad_value": zero_point,
        "row_bytes": row_bytes,
        "row_stride": row_bytes,
        "pad_left": fold.pad * extent.channels,
        "fold": 1,
        "pixels": fold.width,
        "pixel_bytes": fold.columns * extent.channels,
        "pixel_step": fold.step * extent.channels,
        "pixel_words": view.planes,
        "base": view.address(0, rows[0]),
        "row_pitch": view.width,
        "plane_pitch": view.plane_pitch & ADDRESS_MASK,
    }
    return Prepared(
        Opcode.LOAD,
        fields,
        (Access(Memory.ARENA, start, count * row_bytes),),
        (view.access((0, view.planes), rows),),
        transfer_cycles(count * row_bytes, count * fold.width * view.planes, config),
    )


def load_constants(
    destination: Destination, offset: int, base: int, size: int, config: NpuConfig
) -> Prepared:
    """LOAD `size` bytes at `offset` of the constants to a buffer.

    `base` counts weight words, parameter blocks, or units of the table.
    """
    units = size // config.lanes
    match destination:
        case Destination.WEIGHTS:
            written = Access(Memory.WEIGHTS, base, units // config.channels)
            base *= config.channels
        case Destination.TABLE:
            written = Access(Memory.TABLE, base, units)
        case _:
            blocks = units // block_units(destination)
            written = Access(Memory.PARAMETERS, base, blocks)
    fields = {
        "offset": offset,
        "region": MemoryRegion.CONSTANTS,
        "destination": destination,
        "rows": 1,
        "pad_value": 0,
        "row_bytes": size,
        "row_stride": 0,
        "pad_left": 0,
        "fold": 0,
        "pixels": units,
        "pixel_bytes": config.lanes,
        "pixel_step": config.lanes,
        "pixel_words": 1,
        "base": base,
        "row_pitch": 0,
        "plane_pitch": 0,
    }
    cycles = transfer_cycles(size, units, config)
    return Prepared(Opcode.LOAD, fields, (), (written,), cycles)


def block_units(destination: Destination) -> int:
    """Units of `lanes` bytes that a LOAD brings for each parameter block."""
    return BIAS_BYTES if destination == Destination.BIASES else PARAMETER_BYTES


def store_rows(
    view: View, extent: Extent, offset: int, rows: tuple[int, int], config: NpuConfig
) -> Prepared:
    """STORE rows `first..end` of the map of `extent` to byte `offset` of the arena."""
    row_bytes = extent.width * extent.channels
    pixels = (rows[1] - rows[0]) * extent.width
    start = offset + rows[0] * row_bytes
    size = pixels * extent.channels
    fields = {
        "offset": start,
        "region": MemoryRegion.ARENA,
        "rows": 1,
        "pixel_words": view.planes,
        "row_stride": 0,
        "pixels": pixels,
        "pixel_bytes": extent.channels,
        "base": view.address(0, rows[0]),
        "row_pitch": 0,
        "plane_pitch": view.plane_pitch & ADDRESS_MASK,
    }
    return Prepared(
        Opcode.STORE,
        fields,
        (view.access((0, view.planes), rows),),
        (Access(Memory.ARENA, start, size),),
        transfer_cycles(size, pixels * view.planes, config),
    )


def grid(
    task: GridTask,
    piece: Piece,
    region: Region,
    ifm: View,
    ofm: View,
    weight_base: int,
    parameter_base: int,
    config: NpuConfig,
) -> Prepared:
    """CONV, DEPTHWISE or MAX_POOL: `piece` of the outputs in `region`."""
    kernel = task.kernel
    end = piece.end(config)
    first_row, end_row = task.input_rows(region.y0, region.y1)
    top = region.y0 * kernel.stride_y - kernel.pad_top
    left = region.x0 * kernel.stride_x - kernel.pad_left
    first_column = max(left, 0)
    # rows behind the map are padding as much as rows in front of it
    pad_top = first_row - top if top < task.ifm.height else FIELD_LIMIT
    pad_left = first_column - left
    rows, columns = region.y1 - region.y0, region.x1 - region.x0
    ifm_rows, ifm_columns = end_row - first_row, task.ifm.width - first_column
    if task.opcode == Opcode.CONV:
        planes = input_planes(task, piece.first, end, config)
    else:
        planes = piece.first, end
    origin = ifm.address(planes[0], first_row, first_column) - pad_top * ifm.width - pad_left
    # pixels of dense rows follow each other, so that a pointwise kernel sees one long row
    whole_rows = columns == ifm.width == ofm.width and region.y1 <= task.ifm.height
    if kernel.pointwise and whole_rows and rows * columns <= MAX_FLAT_PIXELS:
        rows, columns = 1, rows * columns
        ifm_rows, ifm_columns = rows, columns
    pixels = task.group_pixels(config)
    taps = task.taps_per_step(config)
    words = end - piece.first
    fields = {
        "ifm_origin": origin & ADDRESS_MASK,
        "ifm_plane_pitch": ifm.plane_pitch & ADDRESS_MASK,
        "ifm_row_step": kernel.stride_y * ifm.width & ADDRESS_MASK,
        "ifm_tap_row_step": kernel.dilation_y * ifm.width & ADDRESS_MASK,
        "group_step": pixels * kernel.stride_x,
        "tap_step": taps if taps > 1 else kernel.dilation_x,
        "window_stride": task.window_stride(),
        "group_pixels": pixels,
        "ifm_zero_point": task.ifm_zero_point,
        "activation_max": task.activation_max,
        "ifm_height": ifm_rows,
        "ifm_width": ifm_columns,
        "ofm_height": rows,
        "ofm_width": columns,
        "kernel_height": kernel.height,
        "kernel_width": ceil_div(kernel.width, taps),
        "channel_steps": planes[1] - planes[0] if task.opcode == Opcode.CONV else 1,
        "blocks": piece.blocks,
        "depth": piece.depth,
        "stride_y": kernel.stride_y,
        "dilation_y": kernel.dilation_y,
        "pad_top": pad_top,
        "pad_left": pad_left,
        "weight_base": weight_base,
        "parameter_base": parameter_base,
        "activation_min": task.activation_min,
        "ofm_base": ofm.address(piece.first, region.y0, region.x0),
        "ofm_plane_pitch": ofm.plane_pitch & ADDRESS_MASK,
        "ofm_row_pitch": ofm.width,
        "ofm_zero_point": task.ofm_zero_point,
        **_scaling(task),
    }
    reads = [ifm.access(planes, (first_row, end_row))]
    if task.parameters is not None:
        reads.append(Access(Memory.PARAMETERS, parameter_base, words))
    if task.weights is not None:
        reads.append(Access(Memory.WEIGHTS, weight_base, weight_words(task, piece, config)))
    cycles = grid_cycles(
        task,
        rows=rows,
        columns=columns,
        words=words,
        depth=words * config.groups_per_word,
        planes=planes[1] - planes[0],
        config=config,
    )
    writes = (ofm.access((piece.first, end), (region.y0, region.y1)),)
    return Prepared(task.opcode, fields, tuple(reads), writes, cycles)


def _scaling(task: GridTask) -> dict[str, int]:
    """Fields for what all outputs have in common."""
    shared = task.parameters != Destination.PARAMETERS
    return {
        "ofm_multiplier": int(task.multiplier[0]) if shared else 0,
        "ofm_shift": int(task.shift[0]) if shared else 0,
        "shared_scale": int(shared),
        "no_bias": int(task.parameters is None),
    }
