"""AXI4 and AXI4-Lite bus signatures, flat, with the standard's signal names."""

from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from rtl.config import NpuConfig

AXI_ADDRESS_BITS = 32
BOUNDARY_BYTES = 4096
"""AXI4 bursts must not cross a multiple of this."""


class Burst(enum.Enum, shape=2):
    """AXI4 burst types; the NPU issues `INCR` only."""

    FIXED = 0
    INCR = 1
    WRAP = 2


class Response(enum.Enum, shape=2):
    """AXI4 responses; everything but `OKAY` counts as an error."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


def _address_channel(prefix: str) -> dict[str, wiring.Member]:
    return {
        f"{prefix}id": Out(1),
        f"{prefix}addr": Out(AXI_ADDRESS_BITS),
        f"{prefix}len": Out(8),
        f"{prefix}size": Out(3),
        f"{prefix}burst": Out(Burst),
        f"{prefix}lock": Out(1),
        f"{prefix}cache": Out(4),
        f"{prefix}prot": Out(3),
        f"{prefix}qos": Out(4),
        f"{prefix}valid": Out(1),
        f"{prefix}ready": In(1),
    }


class AxiRead(wiring.Signature):
    """Read channels of an AXI4 manager: 32-bit addresses, `8 * bus_bytes` bits of data, id 0."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                **_address_channel("ar"),
                "rid": In(1),
                "rdata": In(config.bus_bytes * 8),
                "rresp": In(Response),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiWrite(wiring.Signature):
    """Write channels of an AXI4 manager: 32-bit addresses, `8 * bus_bytes` bits of data, id 0."""

    def __init__(self, config: NpuConfig) -> None:
        super().__init__(
            {
                **_address_channel("aw"),
                "wdata": Out(config.bus_bytes * 8),
                "wstrb": Out(config.bus_bytes),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bid": In(1),
                "bresp": In(Response),
                "bvalid": In(1),
                "bready": Out(1),
            }
        )


class AxiLite(wiring.Signature):
    """AXI4-Lite manager's view: 12-bit byte addresses, 32-bit data."""

    def __init__(self) -> None:
        super().__init__(
            {
                "awaddr": Out(12),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(Response),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(12),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(Response),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )
