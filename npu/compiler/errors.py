"""What the compiler refuses."""

from rtl.errors import NpuError


class CompileError(NpuError):
    """A segment that cannot be compiled for a configuration, with the reason."""
