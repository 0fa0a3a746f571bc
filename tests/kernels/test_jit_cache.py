"""Cached machine code does not outlive the sources it was made from."""

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import pytest

from kernels import jit_cache
from kernels.jit_cache import CACHE_VARIABLE, NUMBA_VARIABLE, choose_folder, discard_stale

# made at run time, from the environment
CONFIG: Any = numba.config


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


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Neither variable is set, and what a test tells Numba is taken back."""
    # setting first has them restored as they were, whatever is set later
    for name in (NUMBA_VARIABLE, CACHE_VARIABLE):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr(CONFIG, "CACHE_DIR", CONFIG.CACHE_DIR)
    return monkeypatch


def unwritable(*folders: Path) -> Callable[[Path], bool]:
    """`_writable` on a machine where nothing in `folders` is, which root cannot be shown."""
    return lambda folder: not any(folder.is_relative_to(each) for each in folders)


def test_sources_that_can_be_written_keep_their_code(
    package: Path, environment: pytest.MonkeyPatch
) -> None:
    assert choose_folder([package]) is None
    assert not os.environ[NUMBA_VARIABLE]


def test_numba_is_left_alone_when_it_was_told(
    package: Path, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(NUMBA_VARIABLE, "elsewhere")
    environment.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    assert choose_folder([package]) is None
    assert os.environ[NUMBA_VARIABLE] == "elsewhere"


def test_the_cache_folder_holds_compiled_code(
    package: Path, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    first = choose_folder([package])
    assert first is not None
    assert first.parent == tmp_path / "cache" / "numba"
    assert os.environ[NUMBA_VARIABLE] == CONFIG.CACHE_DIR == str(first)
    # what was compiled from other sources goes after a while, but not at once
    environment.setenv(NUMBA_VARIABLE, "")
    (package / "a.py").write_text("A = 2\n")
    old = tmp_path / "cache" / "numba" / "old"
    old.mkdir()
    os.utime(old, (0, 0))
    second = choose_folder([package])
    assert second not in (None, first)
    assert first.is_dir()
    assert not old.exists()


def test_a_home_takes_what_the_sources_cannot(
    package: Path, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(jit_cache, "_writable", unwritable(package))
    environment.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/.cache/npu-codesign/numba").mkdir(parents=True)
    environment.setattr(os, "utime", lambda path: None)
    folder = choose_folder([package])
    assert folder is not None
    assert folder.parent == tmp_path / "home/.cache/npu-codesign/numba"


def test_nowhere_to_write_is_one_warning(
    package: Path,
    tmp_path: Path,
    environment: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    environment.setattr(jit_cache, "_writable", unwritable(tmp_path))
    environment.setenv("HOME", str(tmp_path))
    folder = choose_folder([package])
    assert folder is not None
    assert folder.is_dir()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "they are compiled anew by every process; set NPU_CACHE_DIR" in record.getMessage()


def test_a_user_without_a_home_is_the_same_warning(
    package: Path, environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment.setattr(jit_cache, "_writable", unwritable(package))
    environment.delenv("HOME")
    environment.setattr(pwd, "getpwuid", {}.__getitem__)
    folder = choose_folder([package])
    assert folder is not None
    assert folder.is_dir()
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "compiled kernels cannot be kept in ~/.cache/npu-codesign: they are compiled anew"
    )


def test_a_source_file_alone_is_a_dependency(package: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared.py"
    shared.write_text("C = 1\n")
    discard_stale(package, shared)
    assert not discard_stale(package, shared)
    shared.write_text("C = 2\n")
    assert discard_stale(package, shared)


def test_a_folder_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not jit_cache._writable(tmp_path / "file" / "folder")
    assert jit_cache._writable(tmp_path / "new")
