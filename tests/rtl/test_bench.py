"""The testbench's memory finds a manager that breaks the rules, and says which."""

from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring

from rtl.axi import AxiRead, AxiWrite, Burst
from tests.rtl.bench import AxiMemory, simulate, small_config

CONFIG = small_config(8, 8)

BROKEN = {
    "crosses": ({"addr": 0xFF8, "len": 1}, "burst of 2 beats at 0xff8 crosses a 4 KiB boundary"),
    "aligned": ({"addr": 0x104}, "address 0x104 is not aligned"),
    "long": ({"addr": 0x100, "len": 16}, "burst of 17 beats, allowed are 16"),
    "narrow": ({"addr": 0x100, "size": 2}, "beats of 4 bytes on 8"),
    "outside": ({"addr": 0x10000}, "burst at 0x10000 to 0x10007 is outside the memory"),
}


@pytest.mark.parametrize("prefix", ["ar", "aw"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_burst_is_named(case: str, prefix: str) -> None:
    fields, message = BROKEN[case]
    memory = AxiMemory(0x2000, CONFIG.bus_bytes, CONFIG.burst_beats)
    m = Module()
    signature = AxiRead(CONFIG) if prefix == "ar" else AxiWrite(CONFIG)
    axi: Any = wiring.flipped(signature.flip().create())
    for name, value in ({"len": 0, "size": 3} | fields).items():
        m.d.comb += getattr(axi, prefix + name).eq(value)
    m.d.comb += [
        getattr(axi, f"{prefix}burst").eq(Burst.INCR),
        getattr(axi, f"{prefix}valid").eq(1),
    ]
    # a clock needs a register
    m.d.sync += getattr(axi, f"{prefix}id").eq(0)

    async def main(ctx: Any) -> None:
        for _ in range(20):
            await ctx.tick()

    async def serve(ctx: Any) -> None:
        await (memory.reads if prefix == "ar" else memory.writes)(ctx, axi)

    with pytest.raises(AssertionError, match=message):
        simulate(m, main, [serve], 100)
