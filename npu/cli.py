"""The command line: `npu run`, `npu demo`, `npu speedup`, `npu explore`, `npu synth` and helpers.

Exit codes: 0 done, 1 a `--check` failed, no point of a sweep worked or the router failed, 2 bad
usage or bad input (one line on standard error), 3 a design does not fit its part, 130 interrupted.
Who closes the pipe of standard output early changes none of them.
"""

import errno
import gc
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from npu.commands.check import check
from npu.commands.compare import compare
from npu.commands.compile import compile
from npu.commands.configs import configs
from npu.commands.delegate_library import delegate_library
from npu.commands.demo import demo
from npu.commands.disasm import disasm
from npu.commands.explore import explore
from npu.commands.ops import ops
from npu.commands.optimize import optimize
from npu.commands.run import run
from npu.commands.speedup import speedup
from npu.commands.streams import drop_output, outlive_readers
from npu.commands.synth import synth
from npu.commands.verify import verify
from npu.commands.verilog import verilog
from npu.commands.zoo import zoo
from npu.version import tool_version
from rtl.errors import NpuError

EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130
# of standard output, a cache or the folder for temporary files: nothing in the program is wrong
FULL = (errno.ENOSPC, errno.EDQUOT)
GARBAGE_THRESHOLDS = (100_000, 30, 30)

app = typer.Typer(
    name="npu",
    epilog="Begin with: npu demo; then: npu run MODEL.tflite --check",
    # plain text, so that an error is one readable line also in a log file
    rich_markup_mode=None,
    # a bug shows Python's own traceback, not one with every local array in it
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"npu {tool_version()}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Run int8 .tflite networks on a simulated NPU, bit-exact and cycle by cycle."""


COMMANDS = (
    run,
    demo,
    check,
    compare,
    compile,
    speedup,
    explore,
    optimize,
    synth,
    ops,
    delegate_library,
    disasm,
    verify,
    verilog,
    configs,
)
for _command in COMMANDS:
    app.command()(_command)
app.add_typer(zoo)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line with `argv` (default: the process's arguments) and exit."""
    # compilers, Numba's and ours, make hundreds of thousands of objects that stay
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    outlive_readers()
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        code = app(arguments or ["--help"], prog_name="npu", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        _refuse(_usage_line(error))
    except NpuError as error:
        _refuse("; ".join(str(error).splitlines()))
    except MemoryError as error:
        # what a network or a configuration says of its size may be more than there is
        _refuse(f"not enough memory: {error or 'nothing is left'}")
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = "" if error.filename is None else f" '{error.filename}'"
        drop_output()
        _refuse(f"cannot write{where}: {error.strerror}")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(code or 0)


def _refuse(line: str) -> NoReturn:
    sys.stderr.write(f"npu: error: {line}\n")
    sys.exit(EXIT_BAD_INPUT)


def _usage_line(error: typer.TyperException) -> str:
    """What the option parser says, and where all options are listed."""
    context = getattr(error, "ctx", None)
    command = "npu" if context is None else context.command_path
    said = " ".join(error.format_message().split()).rstrip(".")
    return f"{said}; '{command} --help' lists what is allowed"
