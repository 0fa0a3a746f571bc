"""Models `rtl.weight_decoder.WeightDecoder`: in which cycles it does what its streams ask for."""

from typing import Any

from kernels.jit import typed
from sim import weight_stream
from sim.cycle.state import NEVER
from sim.jit import part

ENCODED = typed(-2)
"""Stands for the address of a unit of encoded weights."""

NEEDS, TAKES, ENDS = map(typed, (weight_stream.NEEDS, weight_stream.TAKES, 4))
"""Bits of an operation; ENDS: the last of its command."""

_Decoder = tuple[int, int, int, int, int]
"""The next operation, whether a command has begun, whether its last unit was taken, from when the
next operation can be done, and when the command that is over will be complete."""


@part
def decode(
    h: Any, operations: Any, decoder: _Decoder, offered: bool, last: int, t: int
) -> tuple[_Decoder, bool, int, bool]:
    """Evaluate cycle t.

    `offered` : the unpacker offers a unit of encoded weights, its command's `last` or not. Returns
    the decoder, whether a command is complete, the operations done, and whether the unit was taken.
    """
    operation, begun, ended, decode_at, decoded_at = decoder
    done = decoded_at == t
    if done:
        decoded_at = NEVER
    worked, taken = 0, False
    if (offered or begun != 0) and decode_at <= t:
        what = operations[operation]
        if what & NEEDS == 0 or offered or ended != 0:
            worked, begun = 1, 1
            operation += 1
            taken = what & TAKES != 0 and ended == 0
            if taken and last != 0:
                ended = 1
            if what & ENDS != 0:
                begun, ended = 0, 0
                decode_at, decoded_at = t + 2, t + h.decoder_latency
    return (operation, begun, ended, decode_at, decoded_at), done, worked, taken
