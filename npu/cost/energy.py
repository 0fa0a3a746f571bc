"""Energy of an inference, estimated from the cycle model's activity and a table of operations.

An estimate for comparing points with each other: no netlist was simulated and no chip measured.
What the table has nothing of counts as 0, which `EnergyTable.lacks` says.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import log2
from pathlib import Path
from typing import Any

from rtl.config import PARAMETER_BYTES, NpuConfig
from rtl.errors import ConfigError

DEFAULT_TABLE = Path(__file__).with_name("energy.toml")

_WORD = 8


@dataclass(frozen=True, kw_only=True)
class EnergyTable:
    """Picojoules of one operation each.

    Attributes
    ----------
    source : where the numbers come from.
    multiply_8, add_32, multiply_32 : arithmetic of that many bits.
    sram_8_kib, sram_32_kib, sram_1_mib : 64 bits from or to an SRAM of that size.
    dram_64_bit : 64 bits from or to the external memory.
    register_byte : a byte of a pipeline register or accumulator written.
    leakage_lut_us : leakage of one LUTeq in a microsecond.
    """

    source: str
    multiply_8: float
    add_32: float
    multiply_32: float
    sram_8_kib: float
    sram_32_kib: float
    sram_1_mib: float
    dram_64_bit: float
    register_byte: float
    leakage_lut_us: float

    @property
    def lacks(self) -> list[str]:
        """What counts as 0."""
        return [
            said
            for said, value in (
                ("registers", self.register_byte),
                ("leakage", self.leakage_lut_us),
            )
            if not value
        ]

    def sram_byte(self, size: float) -> float:
        """Picojoules of a byte from or to an SRAM of `size` bytes."""
        known = [
            (8 * 1024, self.sram_8_kib),
            (32 * 1024, self.sram_32_kib),
            (1024 * 1024, self.sram_1_mib),
        ]
        (small, low), (large, high) = known[:2] if size <= known[1][0] else known[1:]
        if min(low, high) <= 0:
            return 0.0
        part = (log2(max(size, 1024)) - log2(small)) / (log2(large) - log2(small))
        return float(low * (high / low) ** part) / _WORD


def load_energy(path: Path | None = None) -> EnergyTable:
    """The table in a TOML file over the default one, which None is.

    Raises
    ------
    ConfigError : the file cannot be read, or has a name or a value that the table has not.
    """
    values = _read(DEFAULT_TABLE)
    if path is not None:
        values = {**values, "source": f"'{path}'", **_read(path)}
    known = [field.name for field in fields(EnergyTable)]
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f"{path}: unknown energy {name!r}; allowed: {', '.join(known)}")
        if name == "source" and isinstance(value, str):
            continue
        if not isinstance(value, int | float) or not 0 <= value < 1e9:
            raise ConfigError(f"{path}: {name} must be a number of picojoules, got {value!r}")
    return EnergyTable(**values)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read '{path}': {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"cannot read '{path}': {' '.join(str(error).split())}") from None


def energy_parts(
    config: NpuConfig, activity: Mapping[str, Any], table: EnergyTable, luts: float, ms: float
) -> dict[str, float]:
    """Microjoules of an inference, by what takes them; their sum is the estimate.

    Parameters
    ----------
    activity : `mac_cycles`, `fetch_cycles`, `output_cycles`, `read_bytes`, `write_bytes`; words of
        weights that are skipped are in none of them.
    luts, ms : area and time, for leakage.
    """
    p, k, c = config.pixels, config.channels, config.lanes
    multiplied = activity["mac_cycles"] * config.macs_per_cycle
    outputs = activity["output_cycles"] * config.requant_words * c / config.requant_parts
    bank = config.scratchpad_kib * 1024 / config.banks
    column = config.weight_buffer_kib * 1024 / k
    moved = activity["read_bytes"] + activity["write_bytes"]
    on_chip = (
        (activity["fetch_cycles"] * config.banks * c + outputs + activity["write_bytes"])
        * table.sram_byte(bank)
        + activity["mac_cycles"] * k * c * table.sram_byte(column)
        + activity["read_bytes"] * table.sram_byte((bank + column) / 2)
        + outputs * PARAMETER_BYTES * table.sram_byte(config.parameter_channels)
    )
    # an accumulator is added to, and written, once a cycle
    sums = activity["mac_cycles"] * p * k
    found = {
        "multipliers": multiplied * (table.multiply_8 + table.add_32 * (c - 1) / c),
        "accumulators": sums * (table.add_32 + 4 * table.register_byte),
        "requantization": outputs * (table.multiply_32 + 2 * table.add_32),
        "memory on chip": on_chip,
        "external memory": moved / _WORD * table.dram_64_bit,
        "leakage": luts * ms * 1000 * table.leakage_lut_us,
    }
    return {name: value / 1e6 for name, value in found.items()}
