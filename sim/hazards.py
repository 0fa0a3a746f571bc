"""A static race checker: do the waits of a program order every conflicting pair of accesses?

The engines run concurrently, each in its own order. For every command it is known which commands
of the other engines are certainly complete when it starts: those that it waits for, those that
these waited for, and so on. Every access to an address is compared with the latest conflicting
access of each other engine; as an engine's commands are in order, the latest one is enough.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtl.config import BIAS_BYTES, LIST_ROWS, PARAMETER_BYTES, NpuConfig
from rtl.isa import ADDRESS_BITS, WAIT_BITS, Destination, Engine, Function, Opcode, Region
from rtl.registers import ErrorCode
from sim.accesses import Runs, make_runs, plane_runs, scratchpad_reads, scratchpad_writes
from sim.command_table import CommandTable, decode_table
from sim.errors import HazardError, ProgramError
from sim.legality import illegal_commands
from sim.program import Program
from sim.step_list import kept_words, load_list, rows_of, step_masks

_ENGINES = (Engine.LOAD, Engine.COMPUTE, Engine.STORE)
_WAITS = tuple(zip(_ENGINES, ("wait_load", "wait_compute", "wait_store"), strict=True))
_NO_MASK = (1 << 62) - 1
_ADDRESS_MASK = (1 << ADDRESS_BITS) - 1
_NEVER = np.iinfo(np.int64).max

# (engine, writes) of every role that uses a resource, and the roles' numbers
_SCRATCHPAD_ROLES = (
    (Engine.LOAD, True),
    (Engine.COMPUTE, True),
    (Engine.COMPUTE, False),
    (Engine.STORE, False),
)
_LOAD_WRITES, _COMPUTE_WRITES, _COMPUTE_READS, _STORE_READS = range(4)
_BUFFER_ROLES = ((Engine.LOAD, True), (Engine.COMPUTE, False))
_BUFFER_READS = 1
_REGION_ROLES = ((Engine.LOAD, False), (Engine.STORE, True))
_REGION_READS, _REGION_WRITES = range(2)


@dataclass
class _Resource:
    """The latest access to each address by each role that uses it.

    A role is an engine that reads or writes. `latest[role, address]` counts the engine's commands
    from 0, -1 when there was no access yet.
    """

    name: str
    unit: str
    roles: tuple[tuple[Engine, bool], ...]
    size: int
    mask: int = _NO_MASK
    latest: NDArray[np.int32] = field(init=False)

    def __post_init__(self) -> None:
        self.latest = np.full((len(self.roles), self.size), -1, dtype=np.int32)

    def limits(self, role: int, complete: NDArray[np.int64]) -> NDArray[np.int64]:
        """For an access in `role`: which commands of each role would race with it."""
        engine, writes = self.roles[role]
        conflicting = [other != engine and (writes or wrote) for other, wrote in self.roles]
        return np.where(conflicting, complete[[other for other, _ in self.roles]], _NEVER)


@njit(cache=True, nogil=True)
def _access(
    latest: NDArray[np.int32],
    role: int,
    position: int,
    limits: NDArray[np.int64],
    runs: Runs,
    mask: int,
) -> tuple[int, int, int]:
    """Note accesses and look for races.

    Returns (role, first address, count of addresses) of the first race, role -1 without one.
    """
    roles, size = latest.shape
    for i in range(runs.shape[0]):
        for j in range(runs[i, 1]):
            address = (runs[i, 0] + j) & mask
            if address >= size:
                continue
            for other in range(roles):
                if latest[other, address] >= limits[other]:
                    count = 1
                    while (
                        j + count < runs[i, 1]
                        and address + count < size
                        and latest[other, address + count] == latest[other, address]
                    ):
                        count += 1
                    return other, address, count
            latest[role, address] = position
    return -1, 0, 0


def check_dependencies(program: Program) -> None:
    """Check that waits order all conflicting accesses of different engines.

    Also refuses a wait for a command that is not earlier in the stream, and a compute command
    that writes words that it reads (ELEMENTWISE may write exactly over an operand).

    Raises
    ------
    HazardError : with the two commands, the resource and the range.
    ProgramError : a stream that cannot be decoded, or a command that the hardware refuses.
    """
    table = decode_table(program.commands)
    if table.error != ErrorCode.NONE:
        raise ProgramError(f"{table.error.name} at command {len(table)}")
    for index, reason in illegal_commands(program.config, table).items():
        raise ProgramError(f"ILLEGAL_FIELD at command {index}: {reason}")
    _Checker(program, table).run()


class _Checker:
    def __init__(self, program: Program, table: CommandTable) -> None:
        config = program.config
        self.config: NpuConfig = config
        self.program = program
        self.table = table
        self.scratchpad = _Resource(
            "scratchpad", "words", _SCRATCHPAD_ROLES, config.scratchpad_words, _ADDRESS_MASK
        )
        self.weights = _Resource(
            "weight buffer",
            "units",
            _BUFFER_ROLES,
            config.weight_words * config.channels,
            _ADDRESS_MASK,
        )
        self.parameters = _Resource(
            "parameter buffer", "blocks", _BUFFER_ROLES, config.parameter_blocks
        )
        self.lookup = _Resource("table", "units", _BUFFER_ROLES, config.table_rows)
        self.list = _Resource("step list", "rows", _BUFFER_ROLES, LIST_ROWS, LIST_ROWS - 1)
        # its contents, as they are when the command at hand is executed
        self.masks = np.zeros((LIST_ROWS, config.lanes), np.uint8)
        self.regions = {
            Region.CONSTANTS: _Resource(
                "CONSTANTS", "bytes", _REGION_ROLES, len(program.constants)
            ),
            Region.ARENA: _Resource("ARENA", "bytes", _REGION_ROLES, program.arena_bytes),
        }
        # per engine: its commands' indices, and what was complete before each started
        self.order: dict[Engine, list[int]] = {engine: [] for engine in _ENGINES}
        self.complete: dict[Engine, list[NDArray[np.int64]]] = {engine: [] for engine in _ENGINES}

    def run(self) -> None:
        for index in range(len(self.table)):
            engine = self.table.engine(index)
            if engine == Engine.CONTROL:
                continue
            opcode = Opcode(int(self.table.opcodes[index]))
            record = self.table.records[opcode][self.table.rows[index]]
            complete = self._complete_before(index, engine, record)
            self.order[engine].append(index)
            self.complete[engine].append(complete)
            if opcode == Opcode.LOAD:
                self._load(index, record, complete)
            elif opcode == Opcode.STORE:
                self._store(index, record, complete)
            elif opcode == Opcode.ELEMENTWISE:
                self._elementwise(index, record, complete)
            else:
                self._grid(index, opcode, record, complete)

    def _complete_before(self, index: int, engine: Engine, c: Any) -> NDArray[np.int64]:
        """Commands of each engine that are certainly complete when this one starts."""
        own = self.complete[engine]
        complete = own[-1].copy() if own else np.zeros(len(_ENGINES), dtype=np.int64)
        for other, name in _WAITS:
            issued = len(self.order[other])
            behind = (issued - int(c[name])) % (1 << WAIT_BITS)
            if behind >= 1 << WAIT_BITS - 1:
                raise HazardError(
                    index,
                    index,
                    f"{self._name(index)} has {name} = {c[name]} where {issued} such commands"
                    " precede it: counts are modulo 2**16, and this one is of a command to come",
                )
            count = issued - behind
            if count > complete[other]:
                complete = np.maximum(complete, self.complete[other][count - 1])
                complete[other] = count
        complete[engine] = len(self.order[engine])
        return complete

    def _load(self, index: int, c: Any, complete: NDArray[np.int64]) -> None:
        rows = np.arange(c["rows"]) * c["row_stride"] + c["offset"]
        self._check(
            index, self._region(c), _REGION_READS, make_runs(rows, c["row_bytes"]), complete
        )
        resource, runs = self._loaded(c)
        self._check(index, resource, _LOAD_WRITES, runs, complete)
        if resource is self.list:
            load_list(self.masks, self.program.constants, c)

    def _loaded(self, c: Any) -> tuple[_Resource, Runs]:
        """What a LOAD writes."""
        match c["destination"]:
            case Destination.SCRATCHPAD:
                return self.scratchpad, plane_runs(c)
            case Destination.WEIGHTS:
                return self.weights, plane_runs(c)
            case Destination.ENCODED:
                units = int(c["rows"] * c["row_pitch"] * c["plane_pitch"])
                return self.weights, make_runs(c["base"], units)
            case Destination.TABLE:
                return self.lookup, plane_runs(c)
            case Destination.LIST:
                return self.list, plane_runs(c)
        planes = BIAS_BYTES if c["destination"] == Destination.BIASES else PARAMETER_BYTES
        return self.parameters, make_runs(c["base"], -(-int(c["pixels"]) // planes))

    def _store(self, index: int, c: Any, complete: NDArray[np.int64]) -> None:
        self._read_scratchpad(index, _STORE_READS, Opcode.STORE, c, complete)
        rows = np.arange(c["rows"]) * c["row_stride"] + c["offset"]
        length = c["pixels"] * c["pixel_bytes"]
        self._check(index, self._region(c), _REGION_WRITES, make_runs(rows, length), complete)

    def _elementwise(self, index: int, c: Any, complete: NDArray[np.int64]) -> None:
        words = int(c["words"])
        for name in ("ifm_base", "ifm2_base"):
            repeat = name == "ifm2_base" and bool(c["ifm2_repeat"])
            reads = 1 if repeat else words
            ahead = int(c[name]) - int(c["ofm_base"])
            # a repeated word is read after the first of the results is written
            if -reads < ahead < words and (ahead or reads < words):
                raise HazardError(
                    index,
                    index,
                    f"{self._name(index)} writes {words} words at {c['ofm_base']} of the"
                    f" scratchpad, which overlap its own input at {c[name]}",
                )
        self._read_scratchpad(index, _COMPUTE_READS, Opcode.ELEMENTWISE, c, complete)
        if c["function"] == Function.TABLE:
            whole = make_runs(0, self.config.table_rows)
            self._check(index, self.lookup, _BUFFER_READS, whole, complete)
        written = scratchpad_writes(self.config, Opcode.ELEMENTWISE, c)
        self._check(index, self.scratchpad, _COMPUTE_WRITES, written, complete)

    def _grid(self, index: int, opcode: Opcode, c: Any, complete: NDArray[np.int64]) -> None:
        config = self.config
        words = int(c["blocks"] * c["depth"]) // config.groups_per_word
        steps = int(c["kernel_height"] * c["kernel_width"] * c["blocks"])
        if opcode == Opcode.CONV:
            steps *= int(c["channel_steps"])
            if c["listed"]:
                self._check(index, self.list, _BUFFER_READS, self._list_rows(c), complete)
                steps = int(kept_words(step_masks(self.masks, c), int(c["depth"])).sum())
            else:
                steps *= int(c["depth"])
        if opcode != Opcode.MAX_POOL:
            units = make_runs(c["weight_base"] * config.channels, steps * config.channels)
            self._check(index, self.weights, _BUFFER_READS, units, complete)
        if not (c["shared_scale"] and c["no_bias"]):
            blocks = make_runs(c["parameter_base"], words)
            self._check(index, self.parameters, _BUFFER_READS, blocks, complete)
        self._read_scratchpad(index, _COMPUTE_READS, opcode, c, complete)
        written = scratchpad_writes(config, opcode, c)
        self._check(index, self.scratchpad, _COMPUTE_WRITES, written, complete, own_reads=True)

    @staticmethod
    def _list_rows(c: Any) -> Runs:
        steps = int(c["kernel_height"] * c["kernel_width"] * c["channel_steps"])
        return make_runs(c["list_base"], int(c["blocks"]) * rows_of(steps))

    def _read_scratchpad(
        self, index: int, role: int, opcode: Opcode, c: Any, complete: NDArray[np.int64]
    ) -> None:
        for read in scratchpad_reads(self.config, opcode, c):
            self._check(index, self.scratchpad, role, read, complete)

    def _region(self, c: Any) -> _Resource:
        region = int(c["region"])
        if region not in set(Region):
            raise ProgramError(f"a command uses region {region}, which a program does not have")
        return self.regions[Region(region)]

    def _check(
        self,
        index: int,
        resource: _Resource,
        role: int,
        runs: Runs,
        complete: NDArray[np.int64],
        own_reads: bool = False,
    ) -> None:
        """Check and note one command's accesses in one role.

        `own_reads`: a scratchpad write that must not touch what the command itself reads.
        """
        engine, writes = resource.roles[role]
        position = len(self.order[engine]) - 1
        limits = resource.limits(role, complete)
        if own_reads:
            limits[_COMPUTE_READS] = position
        other, first, count = _access(resource.latest, role, position, limits, runs, resource.mask)
        if other < 0:
            return
        other_engine, wrote = resource.roles[other]
        earlier = self.order[other_engine][int(resource.latest[other, first])]
        where = f"{resource.unit} {first} to {first + count - 1} of the {resource.name}"
        what = f"{self._name(index)} {'writes' if writes else 'reads'} {where}"
        if earlier == index:
            raise HazardError(index, index, f"{what}, which overlap its own input")
        verb = "writes" if wrote else "reads"
        raise HazardError(
            earlier,
            index,
            f"{what}, which {self._name(earlier)} {verb}, and no wait orders them",
        )

    def _name(self, index: int) -> str:
        return f"command {index} ({self.table.command(index).opcode.name})"
