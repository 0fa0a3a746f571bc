"""What was computed is there after a kill, once; files of others are left alone."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from npu.errors import ExploreError
from npu.explore import store as store_module
from npu.explore.space import Space
from npu.explore.store import Store
from rtl.config import NpuConfig

POINTS = list(Space(NpuConfig(), 20, {"pixels": (2, 4, 8)}).points(1))


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


def test_results_are_kept_once(path: Path) -> None:
    with Store(path) as store:
        assert store.add("net", [(POINTS[0], {"status": "ok"}), (POINTS[1], {"cycles": 3})]) == 2
        assert store.add("net", [(POINTS[0], {"status": "other"})]) == 0
    with Store(path) as store:
        assert store.get("net", POINTS) == [{"status": "ok"}, {"cycles": 3}, None]
        assert store.get("another", POINTS) == [None] * 3
        assert len(store) == 2


def test_a_search_is_noted_once_with_its_candidates_in_order(path: Path) -> None:
    with Store(path) as store:
        assert store.last_search() is None
        number = store.begin({"budget": 3})
        store.note(number, [{"variant": 0, "values": {"b": 2}}, {"variant": 1, "values": {}}])
        store.note(number, [{"variant": 0, "values": {"b": 2}}, {"variant": 2, "values": {}}])
        assert store.begin({"budget": 3}) == number
        found = store.last_search()
        assert found is not None
        assert [candidate["variant"] for candidate in found.candidates] == [0, 1, 2]
        assert found.settings == {"budget": 3}
        assert store.begin({"budget": 4}) != number
        assert store.foreign() == 0


def test_other_versions_are_kept_and_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(path) as store:
        store.add("net", [(POINTS[0], {"status": "ok"})])
        store.begin({"budget": 3})
    monkeypatch.setattr(store_module, "source_key", lambda: "another")
    with Store(path) as store:
        assert store.get("net", POINTS[:1]) == [None]
        assert (store.foreign(), len(store)) == (1, 1)


def test_files_of_others(path: Path, tmp_path: Path) -> None:
    path.write_text("not a database, but long enough to be looked at" * 30)
    with pytest.raises(ExploreError, match="is no store of results"):
        Store(path)
    path.unlink()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE pictures (name TEXT)")
    database.commit()
    database.close()
    with pytest.raises(ExploreError, match="a database of something else"):
        Store(path)
    with pytest.raises(ExploreError, match="cannot use store"):
        Store(tmp_path / "none" / "results.sqlite")


def test_another_format(path: Path) -> None:
    Store(path).__exit__()
    database = sqlite3.connect(path)
    database.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
    database.commit()
    database.close()
    with pytest.raises(ExploreError, match="has format 99, this version reads 1: it is left"):
        Store(path)


def test_a_full_disk_keeps_what_is_there(path: Path) -> None:
    with Store(path) as store:
        store.add("net", [(POINTS[0], {"status": "ok"})])
        (pages,) = store._database.execute("PRAGMA page_count").fetchone()
        store._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ExploreError, match=r"cannot use store .* full; finished points in it"):
            store.add("net", [(POINTS[1], {"reason": "x" * 100_000})])
    with Store(path) as store:
        assert store.get("net", POINTS[:2]) == [{"status": "ok"}, None]


def test_a_kill_loses_nothing(path: Path) -> None:
    """A process is killed while it writes; every batch that it told of is there."""
    program = (
        "import sys; from pathlib import Path; from npu.explore.store import Store\n"
        "from tests.npu.explore.test_store import POINTS\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for number in range(100_000):\n"
        "    store.add(f'net{number}', [(POINTS[0], {'cycles': number})])\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    with Store(path) as store:
        found = [store.get(f"net{number}", POINTS[:1])[0] for number in told]
        assert found == [{"cycles": number} for number in told]
        assert len(store) in (len(told), len(told) + 1)
