"""`python -m tests.support.notebooks IN.ipynb OUT.ipynb FOLDER`: a notebook, run, with outputs."""

import sys

import nbformat
from nbclient import NotebookClient

SECONDS = 300
"""For one cell: simulators may have to be built."""


def main(source: str, target: str, folder: str) -> None:
    """Execute the cells of `source` in `folder`; raises what the first cell that fails raises."""
    # the package is typed in part only
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}}).execute()
    nbformat.write(notebook, target)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(*sys.argv[1:])
