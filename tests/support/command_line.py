"""The command line, in this process."""

import pytest

from npu import cli


def npu(*arguments: object) -> int:
    """The exit code of `npu ARGUMENTS`."""
    with pytest.raises(SystemExit) as caught:
        cli.main([str(a) for a in arguments])
    code = caught.value.code
    assert isinstance(code, int)
    return code


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line with which `npu ARGUMENTS` refuses bad input."""
    assert npu(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("npu: error: ")
    return line.removeprefix("npu: error: ")
