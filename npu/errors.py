"""What the user's side refuses. Every message is one line: what was wrong, what was given."""

from rtl.errors import NpuError


class ModelError(NpuError):
    """A `.tflite` file that cannot be read, or that is no fully integer model of static shape."""


class UnsupportedOperatorError(NpuError):
    """An operator that has to be executed and that no kernel exists for."""


class InputError(NpuError):
    """A network input that is missing, unreadable, or of the wrong shape or type."""


class GoldenError(NpuError):
    """The TFLM interpreter is not installed, or does not run the model."""


class OutputError(NpuError):
    """A result file that cannot be written."""


class EnvironmentVariableError(NpuError):
    """An environment variable with a value that is not allowed."""


class ExploreError(NpuError):
    """A sweep that is asked for wrongly, or whose processes died."""


class SpeedupError(NpuError):
    """Firmware on the bench SoC that fails, or whose outputs are wrong."""


class OptimizeError(NpuError):
    """Pruning, clustering or quantization asked for wrongly, or data that do not fit the model."""


class DelegateError(NpuError):
    """What a delegate's segment cannot do within its interpreter."""


class CompiledModelError(NpuError):
    """A network that cannot become a compiled file, or a compiled file that does not fit."""


class ZooError(NpuError):
    """A system of the zoo that does not exist, or that something is asked of that it has not."""


class VerifyError(NpuError):
    """Hardware to be verified that is no hardware, or that has other ports than ours."""
