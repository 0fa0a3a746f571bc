"""The house's own rules: pages that can be read, and tests that are found by what they test."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("rtl", "kernels", "sim", "npu")
FILE_LINES = 400
FUNCTION_LINES = 100
"""Except in `rtl`, where what connects the parts of a block is one function."""


def sources(*folders: str) -> Iterator[Path]:
    """The Python files below folders of the repository."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines, decorators included, of every function of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - first + 1


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in sources(*PACKAGES, "tests")
    }
    assert len(lengths) > 300
    assert not {name: lines for name, lines in lengths.items() if lines > FILE_LINES}


def test_functions_fit_on_a_page() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{name}": lines
        for path in sources(*PACKAGES, "tests")
        if not path.is_relative_to(ROOT / "rtl")
        for name, lines in functions(path)
    }
    assert len(lengths) > 2000
    assert not {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES}


def test_limits_see_what_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("@decorated\ndef long():\n" + "    pass\n" * FUNCTION_LINES)
    assert list(functions(path)) == [("long", FUNCTION_LINES + 2)]


def code_folders(*folders: str) -> set[Path]:
    """Folders with Python code, relative to the repository."""
    return {path.parent.relative_to(ROOT) for path in sources(*folders)}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_has_tests_where_one_looks_for_them(package: str) -> None:
    """Room a/b has its tests in tests/a/b/, or in tests/a/test_b*.py if they are few."""
    without = []
    for room in code_folders(package):
        own = (ROOT / "tests" / room).glob("test_*.py")
        beside = (ROOT / "tests" / room).parent.glob(f"test_{room.name}*.py")
        if not [*own, *beside]:
            without.append(str(room))
    assert not without


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_tests_is_a_room(package: str) -> None:
    rooms = code_folders(package)
    folders = code_folders(f"tests/{package}")
    assert not [str(folder) for folder in folders if folder.relative_to("tests") not in rooms]
