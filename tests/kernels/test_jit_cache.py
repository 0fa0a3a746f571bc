"""Cached machine code does not outlive the sources it was made from."""

from pathlib import Path

import pytest

from kernels.jit_cache import discard_stale


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "part" / "__pycache__").mkdir(parents=True)
    (folder / "a.py").write_text("A = 1\n")
    (folder / "part" / "b.py").write_text("B = 1\n")
    return folder


def cached_files(package: Path) -> list[Path]:
    return [package / "part" / "__pycache__" / f"b.f-1.py311.{kind}" for kind in ("nbi", "1.nbc")]


def test_unchanged_sources_keep_the_cache(package: Path) -> None:
    discard_stale(package)
    for path in cached_files(package):
        path.write_bytes(b"code")
    assert not discard_stale(package)
    assert all(path.exists() for path in cached_files(package))


@pytest.mark.parametrize("edit", ["own", "nested", "dependency", "renamed"])
def test_a_changed_source_drops_the_cache(package: Path, tmp_path: Path, edit: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "c.py").write_text("C = 1\n")
    discard_stale(package, other)
    for path in cached_files(package):
        path.write_bytes(b"code")
    if edit == "renamed":
        (package / "a.py").rename(package / "z.py")
    else:
        target = {"own": package / "a.py", "nested": package / "part" / "b.py"}
        target.get(edit, other / "c.py").write_text("CHANGED = 1\n")
    assert discard_stale(package, other)
    assert not any(path.exists() for path in cached_files(package))
    assert (package / "a.py").exists() or edit == "renamed"


def test_a_folder_that_cannot_hold_a_cache_is_left_alone(package: Path) -> None:
    (package / "__pycache__").write_text("a file where the folder should be")
    assert not discard_stale(package)
