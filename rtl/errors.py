"""The root of every exception that this project raises on purpose.

It lives on the ground floor so that `sim` and `npu` can derive from it without importing upwards.
"""


class NpuError(Exception):
    """A mistake of the user's or of the input; its message is one line meant for the user."""


class ConfigError(NpuError):
    """A hardware parameter outside what the hardware supports."""


class EncodingError(NpuError):
    """A command field that does not fit its encoding, or bytes that are not a command."""
