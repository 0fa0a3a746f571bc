"""The state of the model: NumPy records, which Numba reads and writes by name.

A time is the number of a clock cycle, START being written in cycle 0; `NEVER` stands for "not
until something else happens". Most fields hold what the registers of the block of the same name
hold; where a register only delays something, the model keeps the cycle in which it takes effect.

Units are evaluated only in cycles in which something may change for them, in the order of `UNITS`.
A value that a unit changes in cycle t becomes visible in cycle t + 1. Where a unit that is
evaluated later in the same cycle must still see the old value, the change carries its cycle
(`*_at`), or the old value is kept.
"""

from typing import Any

import numpy as np

from kernels.jit import typed

NEVER = 1 << 62

ZERO, ONE = map(typed, range(2))

ENGINES = 3
LOAD, COMPUTE, STORE = map(typed, range(ENGINES))

JOBS = 8
"""Most commands in flight in the load and the store engine."""

BURSTS = 8
"""Most bursts in flight per direction."""

PLACEMENTS = 4
"""Words on their way into the packer's ring, and one more."""

SLOTS = 64
"""Accumulator slots: groups whose accumulators can be in use."""

OUTPUTS = 256
"""Groups whose output words are remembered. Fewer than 20 can be under way at a time; the rest is
for the compute engine to run ahead of the other units."""


UNITS = 5
READS_UNIT, DISPATCH_UNIT, LOAD_UNIT, COMPUTE_UNIT, STORE_UNIT = map(typed, range(UNITS))
"""What is evaluated, in this order; the unit of engine e is `LOAD_UNIT + e`."""

START = typed(3)
"""The cycle of the start pulse; START was written in cycle 0."""


Record = np.dtype[Any]


def _record(*fields: str, **nested: tuple[Record, int] | Record | int) -> Record:
    """A record of int64 fields; `nested` fields are records or arrays."""
    members: list[tuple[Any, ...]] = [(name, np.int64) for name in fields]
    for name, kind in nested.items():
        if isinstance(kind, int):
            members.append((name, np.int64, (kind,)))
        elif isinstance(kind, tuple):
            members.append((name, kind[0], (kind[1],)))
        else:
            members.append((name, kind))
    return np.dtype(members)


HARDWARE = _record(
    *("lanes", "bus_bytes", "bus_bits", "unit_bits", "unit_slots", "burst_bytes"),
    *("outstanding", "queue_beats", "word_shift", "requant_words", "requant_parts"),
    *("bank_mask", "latency", "response_latency", "handshake"),
    *("fetch_burst_bytes", "fetch_item_words", "fetch_capacity"),
    *("load_jobs", "store_jobs", "unpacker_beats", "packer_units"),
    *("scratchpad", "encoded", "decoder_latency"),
    *("accumulator_slots", "drain_latency", "write_latency", "elementwise_write_latency"),
)
"""What the model needs to know of the hardware and the memory. Numbers of the RTL come this way,
not as constants, because Numba's cache does not notice when a constant of another module changes.

`unit_*` are about the units of `max(bus_bytes, lanes)` bytes of unpacker and packer, `unit_slots`
the beats in one; `word_shift` is log2 of the groups of K channels in a scratchpad word. *_jobs :
commands in flight. `unpacker_beats` : beats that the unpacker holds. `scratchpad`, `encoded` : the
`Destination`. `decoder_latency` : from decoding to writing. `drain_latency` : from a group's last
operation to when the drain takes it; `write_latency` : from asking for a word's parameters to
writing it; `elementwise_write_latency` : from taking a word of two windows to writing the result.
"""

ENGINE = _record(
    *("queue", "queue_pushed_at", "queue_pushed_before"),
    *("slot_beats", "slot_command", "whole_at", "valid_from", "waited"),
    *("done", "done_at"),
    *("busy_since", "busy", "idle_from"),
)
"""An engine's queue, command slot, completion counter and busy status.

`queue` : beats in the queue or on their way into it; the last two came in the cycles
`queue_pushed_*`. `slot_command` : how many commands the slot has passed on.
`whole_at` : since when the slot holds a whole command; `valid_from` : since when it offers it.
"""

SPLITTER = _record(
    *("offer_at", "idle_from", "address", "row_address", "remaining"),
    *("row_bytes", "row_stride", "rows", "length", "beats", "row_last"),
)
"""A burst splitter; `offer_at` is NEVER when it is idle (since `idle_from`)."""

BURST = _record("load", "beats", "ready_at", "row_last")
"""A read burst on its way; `ready_at` : when its first beat may come."""

READS = _record(
    *("level", "first", "last_beat_at", "address_at"),
    bursts=(BURST, BURSTS),
)
"""Read manager and the memory's read side."""

DISPATCH = _record(
    *("state", "command", "position", "end_at"),
    *("arrived", "arrived_before", "arrived_at", "odd_beat", "taken", "total", "free"),
)
"""Command fetch and dispatcher; `arrived`, `taken` and `total` count 64-bit words."""

LOAD_STATE = _record(
    *("accept_at", "jobs", "job_first", "job_pushed_at", "indices", "oldest", "outstanding"),
    *("walking", "command", "rows_left", "pixels_left", "words_left", "bytes_left"),
    *("lane", "row_end", "position", "pixel_position", "front"),
    *("row_slot", "end_slot", "row_address", "pixel_address", "address"),
    *("word_valid", "word_needed", "word_hold", "word_row_end", "word_address", "word_last"),
    *("spare_valid", "spare_needed", "spare_hold", "spare_row_end", "spare_address", "spare_last"),
    *("held_valid", "held_needed", "held_row_end", "held_address", "held_last"),
    *("out_valid", "out_address", "out_last"),
    *("operation", "decoding", "ended", "decode_at", "decoded_at"),
    *("written", "released"),
    *("words", "write_stalls"),
    jobs_ring=JOBS,
)
"""The load engine. `front` : bytes of the next word in front of its pixel. `*_address` is -1 for
words that do not go to the scratchpad, -2 for encoded weights; `*_row_end` is -1 for words that
are not the last of their row."""

OUTPUT = _record("first", "end", "row_cycles", "pixels", "address", "pitch")
"""Words that a group writes in the cycles first <= t < end: `row_cycles` cycles for each channel
word, in each of them `requant_words` pixels, or a part of one."""

COMPUTE_STATE = _record(
    *("busy", "command", "start", "elementwise", "depth", "block_words", "done_at"),
    *("attempt", "placed", "fetched", "fetched_before"),
    *("pop", "pop_before", "pair_free", "release", "groups", "buffers"),
    *("group_steps", "steps_left", "width_left", "rows_left", "blocks_left"),
    *("row_address", "block_address", "group_address", "second", "words_left"),
    *("step", "block_step"),
    *("active", "accumulator_waits", "outputs", "first_issue"),
    *("mac_active", "mac_wait_window", "mac_wait_accumulator", "output_active", "fetch_active"),
    *("ring_first", "ring_count"),
    releases=SLOTS,
    ring=(OUTPUT, OUTPUTS),
)
"""The compute engine. `attempt` : from when the next window is asked for; `placed` : when the
sequencer let go of its step; `fetched` : when the latest window was, `fetched_before` : the one
before; `pop`, `pop_before` : when these are used up; `pair_free` : from when on the second window
of the next pair is asked for; `step` : of a listed command, the next one, and its block's first;
`release` : when the drain let go of the last group's accumulators. `releases` : the same of the
last `buffers` groups, of which there have been `groups`."""

ISSUED = _record("beats", "row_last", "last", "visible_at")
PLACEMENT = _record("step_at", "following")
ANSWER = _record("ready_at", "last")

STORE_STATE = _record(
    *("front", "ready_at", "accept_at", "jobs", "job_first", "job_pushed_at"),
    *("indices", "oldest", "outstanding"),
    *("walking", "command", "rows_left", "pixels_left", "words_left", "bytes_left", "lane"),
    *("place", "requested", "following", "written", "position", "burst_beats"),
    *("address_at", "beat_at", "burst_begun"),
    *("issued_first", "issued_count", "placed_first", "placed_count"),
    *("answers_first", "answers_count"),
    *("words", "read_stalls"),
    jobs_ring=JOBS,
    issued=(ISSUED, BURSTS),
    placed=(PLACEMENT, PLACEMENTS),
    answers=(ANSWER, BURSTS),
)
"""The store engine. Places in the packer's ring are counted in bytes, without end. `requested` : a
word is asked of the scratchpad, after which the bytes before `following` are there."""

MACHINE = _record(
    *("read_beats", "write_beats", "halt_from", "contended_at"),
    next=UNITS,
    hardware=HARDWARE,
    engines=(ENGINE, ENGINES),
    fetch=SPLITTER,
    load_bursts=SPLITTER,
    store_bursts=SPLITTER,
    reads=READS,
    dispatch=DISPATCH,
    load=LOAD_STATE,
    compute=COMPUTE_STATE,
    store=STORE_STATE,
)
"""The whole NPU. `contended_at` : when a store last had a word that kept a window waiting.
`next[u]` : the next cycle in which unit u must be evaluated."""

TIMES = _record(
    *("whole", "valid", "accepted", "done", "rest"),
    *("active", "waits", "first_issue", "last_issue"),
    *("load_busy", "load_words", "load_stalls", "store_busy", "store_words", "store_stalls"),
)
"""What the model notes about each command.

whole : its engine's slot held all its beats. valid : its waits were met, too. accepted : the
engine took it. done : it completed. rest : the engine was idle afterwards, from this cycle on; 0
if it was not.

Of COMPUTE only: active : cycles in which a grid operation was issued, or a word of an elementwise
command taken. waits : cycles in which no accumulators were free. first_issue, last_issue : of its
operations. The others : cycles in which the other engines were busy, moved a word, and could not
because of the scratchpad's other users, up to cycle `done`.
"""


def reset(machine: Any, beats: int) -> None:
    """Bring `machine`, a record of zeros with `hardware` filled in, to where START leaves it.

    `beats` : length of the command stream.
    """
    machine["next"] = machine["halt_from"] = NEVER
    machine["contended_at"] = -1
    engines = machine["engines"]
    for name in ("whole_at", "valid_from", "busy_since"):
        engines[name] = NEVER
    for name in ("queue_pushed_at", "queue_pushed_before", "done_at"):
        engines[name] = -1
    engines["idle_from"] = START
    for name in ("load_bursts", "store_bursts"):
        machine[name]["offer_at"] = NEVER
    for name in ("load", "store"):
        machine[name]["accept_at"] = NEVER
        machine[name]["job_pushed_at"] = -1
    machine["load"]["decoded_at"] = NEVER
    machine["compute"]["attempt"] = machine["compute"]["done_at"] = NEVER
    machine["reads"]["last_beat_at"] = -1
    dispatch = machine["dispatch"]
    dispatch["arrived_at"] = -1
    dispatch["total"] = beats
    dispatch["free"] = machine["hardware"]["fetch_capacity"]
