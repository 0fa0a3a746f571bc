"""The cache of what is built: concurrent users, failures, keys."""

import pwd
import threading
from pathlib import Path

import pytest

from sim.cache import cached, content_key
from sim.errors import BuildError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NPU_CACHE_DIR", str(folder))
    return folder


def test_built_once_by_concurrent_users(cache: Path) -> None:
    built: list[Path] = []
    found: list[Path] = []
    gate = threading.Barrier(4)

    def build(target: Path) -> None:
        built.append(target)
        (target / "file").write_text("content")

    def use() -> None:
        gate.wait()
        found.append(cached("kind", "key", build))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert found == [cache / "kind" / "key"] * 4
    assert (found[0] / "file").read_text() == "content"


def test_failed_build_leaves_nothing(cache: Path) -> None:
    def fail(target: Path) -> None:
        (target / "half").write_text("")
        raise BuildError("no")

    with pytest.raises(BuildError, match=r"^no$"):
        cached("kind", "key", fail)
    assert [path.name for path in (cache / "kind").iterdir()] == ["key.lock"]
    assert cached("kind", "key", lambda target: None).is_dir()


def test_unusable_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NPU_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(BuildError, match=r"cannot use cache folder .* set NPU_CACHE_DIR"):
        cached("kind", "key", lambda target: None)


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NPU_CACHE_DIR", raising=False)
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(BuildError, match=r"no home folder .* set NPU_CACHE_DIR"):
        cached("kind", "key", lambda target: None)


def test_keys_depend_on_every_part() -> None:
    keys = {
        content_key("a", "b"),
        content_key("ab"),
        content_key("b", "a"),
        content_key(b"a", b"b", {}),
        content_key("a", "b", {"x": 1}),
        content_key("a", "b", {"x": 2}),
    }
    assert len(keys) == 6
