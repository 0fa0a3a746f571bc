"""Which scratchpad banks the output stage writes in a cycle.

The output stage writes without asking; a LOAD's word waits when its bank is taken
(`rtl.scratchpad.Scratchpad`). The compute engine notes what each group of pixels will write, the
load engine looks it up.
"""

from typing import Any

from sim.cycle.state import OUTPUTS
from sim.jit import jit, smaller


@jit
def forget_outputs(m: Any, t: int) -> None:
    """Drop groups that wrote their last word before cycle t."""
    c = m.compute
    while c.ring_count != 0 and c.ring[c.ring_first].end <= t:
        c.ring_first = (c.ring_first + 1) % OUTPUTS
        c.ring_count -= 1


@jit
def note_output(m: Any, first: int, words: int, pixels: int, address: int, pitch: int) -> int:
    """A group writes from cycle `first` on; returns for how many cycles."""
    c, h = m.compute, m.hardware
    output = c.ring[(c.ring_first + c.ring_count) % OUTPUTS]
    c.ring_count += 1
    row_cycles = (pixels + h.requant_words - 1) // h.requant_words * h.requant_parts
    output.first = first
    output.end = first + words * row_cycles
    output.row_cycles = row_cycles
    output.pixels = pixels
    output.address = address
    output.pitch = pitch
    return int(words * row_cycles)


@jit
def writes_bank(m: Any, address: int, t: int) -> bool:
    """In cycle t the output stage writes to the bank of `address`."""
    forget_outputs(m, t)
    c = m.compute
    if c.ring_count == 0:
        return False
    output = c.ring[c.ring_first]
    if output.first > t:
        return False
    h = m.hardware
    word = (t - output.first) // output.row_cycles
    cycle = t - output.first - word * output.row_cycles
    offset = cycle // h.requant_parts * h.requant_words
    written = smaller(h.requant_words, output.pixels - offset)
    begin = output.address + word * output.pitch + offset
    return bool(((address - begin) & h.bank_mask) < written)
