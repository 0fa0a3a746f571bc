"""All properties."""

from tests.formal import bursts, bus, commands, requantizer, streams
from tests.formal.proof import Proof

PROOFS: tuple[Proof, ...] = (
    *streams.PROOFS,
    *commands.PROOFS,
    *bursts.PROOFS,
    *bus.PROOFS,
    *requantizer.PROOFS,
)
