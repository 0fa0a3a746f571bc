"""What `pip install` puts in place is all that the packages read."""

import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PATTERNS: dict[str, list[str]] = PROJECT["tool"]["setuptools"]["package-data"]
PACKAGES = ("npu", "sim", "kernels", "rtl")
DOCUMENTS = {".md", ".svg"}
"""Read by people only."""


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_beside_the_modules_is_packaged(package: str) -> None:
    folder = ROOT / package
    present = {
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in {".py", *DOCUMENTS}
        and path.parent.name != "__pycache__"
    }
    found = [(pattern, set(folder.glob(pattern))) for pattern in PATTERNS.get(package, [])]
    assert [pattern for pattern, paths in found if not paths] == []
    assert present - set().union(*(paths for _, paths in found)) == set()
