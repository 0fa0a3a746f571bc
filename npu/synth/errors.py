"""What synthesis refuses. Every message is one line: what was wrong, what was given."""

from rtl.errors import NpuError


class SynthesisError(NpuError):
    """Synthesis that is asked for wrongly, cannot start, or whose tools fail."""


class RoutingError(SynthesisError):
    """The router gave up for another reason than the size of the part."""


class DoesNotFitError(SynthesisError):
    """The design needs more of something than the part has; the message says what."""
