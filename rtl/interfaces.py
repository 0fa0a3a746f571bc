"""Signatures shared by the NPU's blocks, seen from the initiator's side."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import LIST_ROWS, NpuConfig
from rtl.isa import ADDRESS_BITS, BEAT_BITS, REGIONS, WAIT_BITS

INDEX_BITS = 16


class RegionLookup(wiring.Signature):
    """What an engine asks of the region table: `value` is, in the same cycle, the bus address of
    region `number`'s first byte or, with `size`, its size in bytes (0 = unusable)."""

    def __init__(self) -> None:
        super().__init__({"number": Out(range(REGIONS)), "size": Out(1), "value": In(32)})


class DoneCounts(wiring.Signature):
    """Completed commands per engine, wrapping; broadcast to every engine's command slot."""

    def __init__(self) -> None:
        super().__init__(
            {"load": Out(WAIT_BITS), "compute": Out(WAIT_BITS), "store": Out(WAIT_BITS)}
        )


class ErrorReport(wiring.Signature):
    """A fault: `valid` for at least one cycle with its code and the command's index."""

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "code": Out(8), "command": Out(INDEX_BITS)})


class EngineStatus(wiring.Signature):
    """What the control block and the trace port see of an engine.

    Members
    -------
    start : pulse in the cycle in which a command starts executing.
    done : pulse in the cycle in which it completes (also after a fault).
    index : index of the command executing (valid from `start` to `done`).
    busy : a command is executing.
    waiting : a whole command is queued but its dependencies are not met.
    idle : nothing executing, nothing queued, nothing partly queued.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": Out(1),
                "done": Out(1),
                "index": Out(INDEX_BITS),
                "busy": Out(1),
                "waiting": Out(1),
                "idle": Out(1),
            }
        )


class BusWatch(wiring.Signature):
    """What a user of the bus shows to the control block, which watches for a bus that is silent.

    Members
    -------
    owed : the bus must take an address or data, or must answer. moved : it did something, or has
        just been asked for more.
    of_command : the oldest unanswered burst belongs to the LOAD or STORE whose index is `command`;
        if low, to the command fetch.
    """

    def __init__(self) -> None:
        super().__init__(
            {"owed": Out(1), "moved": Out(1), "of_command": Out(1), "command": Out(INDEX_BITS)}
        )


class BusAttributes(wiring.Signature):
    """What the driver chose for AxCACHE and AxPROT of all bursts of one direction."""

    def __init__(self) -> None:
        super().__init__({"cache": Out(4), "prot": Out(3)})


class ScratchpadWrite(wiring.Signature):
    """One word per beat into the scratchpad; transfers when valid & ready. `address` must be in
    range: the initiator checks. Bytes whose `enable` bit is low keep their value."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "ready": In(1),
                "address": Out(ADDRESS_BITS),
                "data": Out(config.lanes * 8),
                "enable": Out(config.lanes),
            }
        )


class ScratchpadRead(wiring.Signature):
    """One word per beat out of the scratchpad: a request transfers when valid & ready, its `data`
    is present in the following cycle and only then."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "ready": In(1),
                "address": Out(ADDRESS_BITS),
                "data": In(config.lanes * 8),
            }
        )


class WeightWrite(wiring.Signature):
    """Neighbouring C-byte units into the weight buffer, always accepted.

    `address` counts units; of hardware that writes two at once it is the first one's, an even one
    (its last bit means nothing). `enable` : which of them are written.
    """

    def __init__(self, config: NpuConfig) -> None:
        ports = config.weight_ports
        super().__init__(
            {
                "enable": Out(ports),
                "address": Out(ADDRESS_BITS),
                "data": Out(config.lanes * 8).array(ports),
            }
        )


class ParameterWrite(wiring.Signature):
    """One byte plane of a parameter block, always accepted: byte c belongs to channel c."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "block": Out(14),
                "plane": Out(4),
                "data": Out(config.lanes * 8),
            }
        )


class TableWrite(wiring.Signature):
    """C entries of the lookup table, always accepted: byte c is entry `row * C + c`."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "row": Out(range(config.table_rows)),
                "data": Out(config.lanes * 8),
            }
        )


class ListWrite(wiring.Signature):
    """Masks of 8 steps into the step list, always accepted: byte i is step `row * 8 + i`."""

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "row": Out(range(LIST_ROWS)), "data": Out(64)})


class ReadClient(wiring.Signature):
    """One user of the AXI read channels; `tag_bits` may be 0, then there is no `tag`.

    Members
    -------
    request : a burst of `length + 1` beats from the beat-aligned bus address `address`, inside one
        4 KiB page. `tag` comes back with each of its beats.
    beats : the data, in request order. `last` ends a burst; `error`: the bus reported one.
    """

    def __init__(self, config: NpuConfig, tag_bits: int) -> None:
        tag = {"tag": unsigned(tag_bits)} if tag_bits else {}
        request = data.StructLayout(
            {"address": unsigned(32), "length": range(config.burst_beats), **tag}
        )
        beat = data.StructLayout({"data": config.bus_bytes * 8, "last": 1, "error": 1, **tag})
        super().__init__(
            {"request": Out(stream.Signature(request)), "beats": In(stream.Signature(beat))}
        )


FETCHED_WORD = data.StructLayout({"beat": BEAT_BITS, "error": 1})
"""64 bits of the command stream; `error`: the bus could not deliver them."""
