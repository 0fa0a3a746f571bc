"""The roofline: what the multipliers and the external memory allow, and how much of it is used."""

from dataclasses import dataclass

from sim.cycle.accounting import BUSY, FINISHED, LayerAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Where a piece of work stands under the roofline of MACs per cycle over MACs per byte.

    A layer can stand above it: its weights may have been loaded in the time of layers before.

    `intensity` are useful MACs per byte of external memory traffic (None without traffic),
    `attained` the useful MACs per cycle, and `attainable` what the multipliers, or the memory at
    this intensity, would allow.
    """

    intensity: float | None
    attained: float
    attainable: float

    @property
    def share(self) -> float:
        """What is attained of what is attainable."""
        return self.attained / self.attainable


def roofline(account: LayerAccount, *, macs_per_cycle: int, bus_bytes: int) -> Roofline | None:
    """The roofline position of a layer, or of several; None without MACs."""
    if not account.macs or not account.cycles:
        return None
    traffic = account.read_bytes + account.written_bytes
    intensity = account.macs / traffic if traffic else None
    peak = float(macs_per_cycle)
    return Roofline(
        intensity=intensity,
        attained=account.macs / account.cycles,
        attainable=peak if intensity is None else min(peak, intensity * bus_bytes),
    )


def bound_by(account: LayerAccount) -> tuple[str, float]:
    """What most of the cycles went to, as seen by the compute engine, and its share of them.

    Its own work is "MACs", or "operations" where none of it counts as MACs; when it has finished,
    what remains is "stores".
    """
    cause, cycles = account.bound
    if cause == BUSY:
        cause = "MACs" if account.macs else "operations"
    elif cause == FINISHED:
        cause = "stores"
    return cause, cycles / account.cycles if account.cycles else 0.0
