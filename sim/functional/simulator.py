"""The functional simulator: a program's commands in stream order, without time."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kernels.requantize import Rounding
from rtl.config import LIST_ROWS, PARAMETER_BYTES, NpuConfig
from rtl.isa import COMMANDS, REGIONS, WAIT_BITS, Engine, Opcode, Region
from rtl.registers import ErrorCode
from sim.binding import Inputs, make_arena, read_tensors
from sim.command_table import CommandTable, decode_table
from sim.disassembly import disassemble
from sim.errors import CommandError, SimulationError
from sim.functional.elementwise import execute_elementwise
from sim.functional.grid import execute_conv, execute_depthwise
from sim.functional.transfer import execute_load, execute_store
from sim.legality import illegal_commands, misplaced_config
from sim.program import Program
from sim.result import SimulationResult

Progress = Callable[[int, int], None]
"""Called with (commands executed, commands in all)."""

_ENGINES = {int(opcode): fmt.engine for opcode, fmt in COMMANDS.items()}
_WAITS = {
    Engine.LOAD: "wait_load",
    Engine.COMPUTE: "wait_compute",
    Engine.STORE: "wait_store",
}


class FunctionalSimulator:
    """Executes programs for one hardware configuration; bits as the hardware's, no cycles.

    Commands run in stream order. That equals the hardware's concurrent execution for programs
    that `sim.hazards.check_dependencies` accepts.

    Parameters
    ----------
    config : the hardware.
    initial_byte : what the memories on chip hold before a run, 0 to 255. Results of a correct
        program do not depend on it.
    """

    def __init__(self, config: NpuConfig, initial_byte: int = 0) -> None:
        self.config = config
        self._initial_byte = initial_byte

    def run(
        self, program: Program, inputs: Inputs, progress: Progress | None = None
    ) -> SimulationResult:
        """Run a program once.

        Parameters
        ----------
        program : what to run.
        inputs : every input by tensor index or name, in its binding's shape and type.
        progress : called after every command.

        Raises
        ------
        SimulationError : inputs that do not fit, or a command without defined meaning.
        CommandError : the hardware would stop at this command with this code. A command that
            waits for one behind it in the stream counts as DEADLOCK.
        """
        arena = make_arena(program, inputs)
        state = _State(self.config, program, arena, self._initial_byte)
        table = decode_table(program.commands)
        refused = illegal_commands(self.config, table)
        done = dict.fromkeys(_WAITS, 0)
        misplaced = misplaced_config(self.config, table)
        for index in range(len(table)):
            if index == misplaced:
                code = ErrorCode.CONFIG_MISMATCH
                raise CommandError(code, index, disassemble(table.command(index)))
            if index in refused:
                raise CommandError(ErrorCode.ILLEGAL_FIELD, index, refused[index])
            _check_waits(table, index, done)
            found = state.execute(table, index)
            if found != ErrorCode.NONE:
                raise CommandError(ErrorCode(found), index, disassemble(table.command(index)))
            engine = _ENGINES[int(table.opcodes[index])]
            if engine in done:
                done[engine] += 1
            if progress is not None:
                progress(index + 1, len(table))
        if table.error != ErrorCode.NONE:
            raise CommandError(table.error, len(table))
        return SimulationResult(
            outputs=read_tensors(arena, program.outputs),
            tensors=read_tensors(arena, program.tensors),
        )


class _State:
    """Memories during a run. Signed and unsigned views share the bytes."""

    def __init__(
        self, config: NpuConfig, program: Program, arena: NDArray[np.uint8], initial_byte: int
    ) -> None:
        lanes = config.lanes

        def memory(*shape: int) -> NDArray[np.uint8]:
            return np.full((*shape, lanes), initial_byte, dtype=np.uint8)

        self.config = config
        self.scratchpad = memory(config.scratchpad_words)
        self.weights = memory(config.weight_words * config.channels)
        self.parameters = memory(config.parameter_blocks, PARAMETER_BYTES)
        self.table = memory(config.table_rows)
        self.masks = memory(LIST_ROWS)
        self.rounding = int(Rounding.named(config.rounding))
        self.regions = [np.zeros(0, dtype=np.uint8)] * REGIONS
        self.regions[Region.CONSTANTS] = program.constants.copy()
        self.regions[Region.ARENA] = arena

    def execute(self, commands: CommandTable, index: int) -> int:
        """Execute one command; returns an ErrorCode, NONE when all is well."""
        opcode = Opcode(int(commands.opcodes[index]))
        row = int(commands.rows[index])
        records = commands.records[opcode]
        scratchpad = self.scratchpad.view(np.int8)
        match opcode:
            case Opcode.CONFIG | Opcode.END:
                return ErrorCode.NONE
            case Opcode.LOAD:
                region = self.regions[records["region"][row]]
                buffers = (self.scratchpad, self.weights, self.parameters, self.table, self.masks)
                return int(execute_load(region, *buffers, records, row))
            case Opcode.STORE:
                region = self.regions[records["region"][row]]
                return int(execute_store(region, self.scratchpad, records, row))
            case Opcode.ELEMENTWISE:
                table = self.table.view(np.int8).reshape(-1)
                return int(execute_elementwise(scratchpad, table, records, row, self.rounding))
        grid = (scratchpad, self.weights.view(np.int8), self.parameters, records, row)
        size = (self.config.channels, self.config.banks, self.rounding)
        if opcode == Opcode.CONV:
            return int(execute_conv(*grid, *size, self.masks))
        if opcode == Opcode.DEPTHWISE:
            self._check_unused_taps(commands, index)
        return int(execute_depthwise(*grid, *size, opcode == Opcode.MAX_POOL))

    def _check_unused_taps(self, table: CommandTable, index: int) -> None:
        """Taps beyond the window have no defined input: their weights must be zero."""
        record = table.records[Opcode.DEPTHWISE][table.rows[index]]
        channels, lanes = self.config.channels, self.config.lanes
        taps = self.config.taps_per_step(int(record["window_stride"]))
        first = int(record["weight_base"])
        steps = int(record["blocks"] * record["kernel_height"] * record["kernel_width"])
        words = self.weights.reshape(-1, lanes, channels)[first : first + steps]
        if words[:, :, taps:].any():
            raise SimulationError(
                f"command {index} (DEPTHWISE) has nonzero weights for taps from {taps} on,"
                " which have no input"
            )


def _check_waits(table: CommandTable, index: int, done: dict[Engine, int]) -> None:
    opcode = Opcode(int(table.opcodes[index]))
    if COMMANDS[opcode].engine == Engine.CONTROL:
        return
    record = table.records[opcode][table.rows[index]]
    for engine, name in _WAITS.items():
        ahead = (done[engine] - int(record[name])) % (1 << WAIT_BITS)
        if ahead >= 1 << WAIT_BITS - 1:
            raise CommandError(
                ErrorCode.DEADLOCK,
                index,
                f"{name} is {int(record[name])}, but only {done[engine]} commands precede it",
            )
