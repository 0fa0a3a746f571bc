"""`npu compare`: two runs, configurations, versions or networks, side by side."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    a: Annotated[
        Path, typer.Argument(metavar="A.json", help="What `npu run --json` wrote: the first run.")
    ],
    b: Annotated[Path, typer.Argument(metavar="B.json", help="The second run.")],
    json: Annotated[
        Path | None,
        typer.Option(metavar="OUT", help="Write the comparison as JSON; - is standard output."),
    ] = None,
) -> None:
    """Compare two runs layer by layer.

    Both are files that `npu run --json` wrote.

    Operators of different networks stand for each other where their kinds follow in the same order.
    """
    from npu.report.compare import compare_runs, read_run
    from npu.report.compare_tables import print_compared
    from npu.report.record import STDOUT, check_output_path, write_json
    from npu.report.tables import make_console

    check_output_path(json, "--json", stdout=True)
    record = compare_runs(read_run(a), read_run(b))
    print_compared(make_console(stderr=json == STDOUT), (str(a), str(b)), record)
    if json is not None:
        write_json(record, json)
