"""The areas in a liberty file, the standard description of a chip's cells."""

import re
from dataclasses import dataclass
from pathlib import Path

from npu.synth.errors import SynthesisError

_CELL = re.compile(r'\bcell\s*\(\s*"?([\w.$]+)"?\s*\)\s*\{')
_AREA = re.compile(r"\barea\s*:\s*\"?([0-9.eE+-]+)")
_COMMENT = re.compile(r"/\*.*?\*/", re.S)


@dataclass(frozen=True)
class Liberty:
    """What is needed of a liberty file.

    Attributes
    ----------
    name : the file's. text : all of it, for the mapper.
    areas : area of each cell, in the file's unit.
    nand2_area : of the smallest cell whose name says that it is a two-input NAND.
    """

    name: str
    text: str
    areas: dict[str, float]
    nand2_area: float


def read_liberty(path: Path) -> Liberty:
    """Read a liberty file.

    Raises
    ------
    SynthesisError : it cannot be read, is no liberty file, or has no NAND or flip-flop.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SynthesisError(f"--liberty '{path}' is no liberty file: it is not text") from None
    except OSError as error:
        raise SynthesisError(f"cannot read --liberty '{path}': {error.strerror or error}") from None
    plain = _COMMENT.sub(" ", text)
    if not re.search(r"\blibrary\s*\(", plain):
        raise SynthesisError(f"--liberty '{path}' is no liberty file: it has no 'library (...)'")
    areas = _areas(plain)
    nands = [area for name, area in areas.items() if "nand2" in name.lower() and area > 0]
    if not nands:
        raise SynthesisError(
            f"--liberty '{path}' has no two-input NAND with an area (a cell named *nand2*)"
        )
    if not re.search(r"\bff\s*\(", plain):
        raise SynthesisError(f"--liberty '{path}' has no flip-flop")
    return Liberty(path.name, text, areas, min(nands))


def _areas(text: str) -> dict[str, float]:
    cells = list(_CELL.finditer(text))
    ends = [cell.start() for cell in cells[1:]] + [len(text)]
    found = {}
    for cell, end in zip(cells, ends, strict=True):
        area = _AREA.search(text, cell.end(), end)
        if area is not None:
            found[cell[1]] = float(area[1])
    return found
