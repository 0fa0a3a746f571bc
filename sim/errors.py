"""What the simulators refuse, and how a simulated NPU reports a fault."""

from rtl.errors import NpuError
from rtl.registers import ErrorCode


class ProgramError(NpuError):
    """A program that is inconsistent, or a file that is not a program of this version."""


class BuildError(NpuError):
    """The RTL simulator cannot be built: a tool is missing, or it failed."""


class SimulationError(NpuError):
    """A simulation that cannot start or does not end as it should."""


class CommandError(SimulationError):
    """The NPU stopped at a command, as `STATUS.ERROR`, `ERROR_CODE` and `ERROR_COMMAND` say.

    Parameters
    ----------
    code : what the NPU reports.
    command : index of the command in the stream (CONFIG is command 0).
    detail : what exactly was wrong, or the disassembled command; may be empty.
    """

    def __init__(self, code: ErrorCode, command: int, detail: str = "") -> None:
        super().__init__(f"{code.name} at command {command}" + (f": {detail}" if detail else ""))
        self.code = code
        self.command = command
        self.detail = detail

    def __reduce__(self) -> tuple[type["CommandError"], tuple[ErrorCode, int, str]]:
        return (CommandError, (self.code, self.command, self.detail))


class HazardError(SimulationError):
    """Two commands of different engines touch the same bytes and no wait orders them.

    Parameters
    ----------
    first, second : command indices, in stream order.
    message : the resource, the conflict and the range.
    """

    def __init__(self, first: int, second: int, message: str) -> None:
        super().__init__(message)
        self.first = first
        self.second = second

    def __reduce__(self) -> tuple[type["HazardError"], tuple[int, int, str]]:
        return (HazardError, (self.first, self.second, str(self)))
