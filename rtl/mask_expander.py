"""Puts the weights that are not zero where a mask has them."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import DECODER_LANES

LANES = DECODER_LANES
COLUMNS = 2 * LANES
"""Codes of 4 bits in a unit; of 8 bits, column j has the lower half of code j, `LANES + j` the
upper one."""


class MaskExpander(wiring.Component):
    """Hold masks and codes, and decode a unit of weights per operation.

    An operation takes a unit of codes when it needs more than are held. When it does not, and only
    one unit of masks is held, it takes the next one; with none held it does nothing else.

    Latency: none; `codes`, `high` and `present` belong to the operation that `fire` ends.

    Members
    -------
    unit : the next unit. wide : codes have 8 bits, not 4. start : forget everything.
    fire : the operation is done in this cycle.
    takes : it needs and takes the unit. writes : it decodes weights.
    codes, high : the lower and upper halves of each lane's code. present : lanes that have one.
    """

    unit: Signal
    wide: Signal
    start: Signal
    fire: Signal
    takes: Signal
    writes: Signal
    codes: Any
    high: Any
    present: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "unit": In(LANES * 8),
                "wide": In(1),
                "start": In(1),
                "fire": In(1),
                "takes": Out(1),
                "writes": Out(1),
                "codes": Out(data.ArrayLayout(4, LANES)),
                "high": Out(data.ArrayLayout(4, LANES)),
                "present": Out(LANES),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        more = Signal()
        mask = self._masks(m, more)
        before = [Value.cast(0)]
        for lane in range(LANES):
            before.append(before[-1] + mask[lane])

        # codes are used up from `position` on; at 0 none is held
        held = Signal(LANES * 8, reset_less=True)
        position = Signal(range(COLUMNS))
        following = Signal(range(2 * COLUMNS))
        empty = Signal()
        m.d.comb += [
            empty.eq(position == 0),
            following.eq(position + before[LANES]),
            more.eq(
                Mux(empty, mask.any(), following > Mux(self.wide, LANES, COLUMNS)),
            ),
            self.present.eq(mask),
        ]
        with m.If(self.fire & self.writes):
            m.d.sync += position.eq(Mux(self.wide, following[:3], following[:4]))
            with m.If(more):
                m.d.sync += held.eq(self.unit)
        with m.If(self.start):
            m.d.sync += position.eq(0)

        columns = []
        kept: list[Value] = []
        for j in range(COLUMNS):
            own = ~empty & (position <= j)
            kept.append(own if j < LANES else Mux(self.wide, kept[j - LANES], own))
            column = Signal(4, name=f"column{j}")
            m.d.comb += column.eq(
                Cat(
                    Mux(kept[j], held[COLUMNS * t + j], self.unit[COLUMNS * t + j])
                    for t in range(4)
                )
            )
            columns.append(column)
        for lane in range(LANES):
            index = Signal(range(COLUMNS), name=f"index{lane}")
            m.d.comb += [
                index.eq(position + before[lane]),
                self.codes[lane].eq(Array(columns)[Cat(index[:3], index[3] & ~self.wide)]),
                self.high[lane].eq(Array(columns[LANES:])[index[:3]]),
            ]
        return m

    def _masks(self, m: Module, more: Signal) -> Signal:
        """The mask of this operation, from two units of masks that are held in turn."""
        banks = [Signal(LANES * 8, name=f"masks{i}", reset_less=True) for i in range(2)]
        bank = Signal()
        place = Signal(range(LANES))
        count = Signal(range(3))
        load = Signal()
        last = Signal()
        mask = Signal(LANES)
        m.d.comb += [
            self.writes.eq(count != 0),
            self.takes.eq(~count[1] | more),
            load.eq((count == 0) | ((count == 1) & ~more)),
            last.eq(self.writes & (place == LANES - 1)),
            mask.eq(Mux(bank, banks[1], banks[0]).word_select(place, LANES)),
        ]
        with m.If(self.fire):
            m.d.sync += [
                place.eq(place + self.writes),
                bank.eq(bank ^ last),
                count.eq(count + load - last),
            ]
            for i in range(2):
                with m.If(load & (bank ^ count[0] == i)):
                    m.d.sync += banks[i].eq(self.unit)
        with m.If(self.start):
            m.d.sync += [place.eq(0), bank.eq(0), count.eq(0)]
        return mask
