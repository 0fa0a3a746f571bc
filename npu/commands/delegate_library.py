"""`npu delegate-library`: the delegate as a shared library."""

import typer


def delegate_library() -> None:
    """Build the delegate as a shared library.

    Prints its path, for `load_delegate(PATH, {"config": "npu64", "backend": "cycle"})`, and for
    programs that take a delegate by its path. A third option, `report`, names a JSON file for
    cycles and utilization.
    """
    from npu.tflite_delegate.library_build import delegate_library as build

    # alone on its line, so that a script can take it; no console, which would fold it
    typer.echo(build())
