"""Finished points on disk: one SQLite file, which a kill at any moment leaves whole.

A result's key is a hash of the network's file, of the point and of the tool's own sources, so that
it is never taken from another network or another version, and never stored twice.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from npu.errors import ExploreError
from npu.explore.space import Point
from sim.cache import cache_folder, content_key

FORMAT = 1
"""Version of the tables below."""

BUSY_SECONDS = 60.0
"""How long a writer waits for others that write to the same file."""

_PACKAGES = ("rtl", "kernels", "sim", "npu")
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, network TEXT NOT NULL, point TEXT NOT NULL, result TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS searches (
    number INTEGER PRIMARY KEY, sources TEXT NOT NULL, settings TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS candidates (
    search INTEGER NOT NULL, key TEXT NOT NULL, candidate TEXT NOT NULL,
    PRIMARY KEY (search, key)
);
"""

Result = dict[str, Any]
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Search:
    """A search that a store has: what was asked, by which sources, and its candidates in order."""

    number: int
    sources: str
    settings: Settings
    candidates: Sequence[Mapping[str, Any]]


class Store:
    """Results by network and point, and the searches that they belong to.

    Parameters
    ----------
    path : the file; None is one of this version of the tool in the cache folder.

    Raises
    ------
    ExploreError : it is no such file, of another format, or cannot be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or cache_folder() / "explore" / f"{source_key()}.sqlite"
        with self._errors():
            if path is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
            try:
                self._open()
            except BaseException:
                self._database.close()
                raise

    def _open(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        with self._database:
            tables = {name for (name,) in self._database.execute("SELECT name FROM sqlite_master")}
            if tables and "meta" not in tables:
                raise ExploreError(f"'{self.path}' is a database of something else: name another")
            self._database.executescript(_TABLES)
            self._database.execute(
                "INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(FORMAT),)
            )
        (found,) = self._database.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        if found != str(FORMAT):
            raise ExploreError(
                f"store '{self.path}' has format {found}, this version reads {FORMAT}: it is left"
                " as it is, name another file"
            )

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def __len__(self) -> int:
        """Results, of all networks and versions."""
        with self._errors():
            (count,) = self._database.execute("SELECT COUNT(*) FROM results").fetchone()
            return int(count)

    def get(self, network: str, points: Sequence[Point]) -> list[Result | None]:
        """The results of those of `points` that are finished, in order; None for the others.

        Parameters
        ----------
        network : `network_key` of the network's file.
        """
        keys = [result_key(network, point) for point in points]
        known: dict[str, str] = {}
        with self._errors():
            for begin in range(0, len(keys), 500):
                part = keys[begin : begin + 500]
                marks = ",".join("?" * len(part))
                known.update(
                    self._database.execute(
                        f"SELECT key, result FROM results WHERE key IN ({marks})", part
                    )
                )
        return [json.loads(known[key]) if key in known else None for key in keys]

    def add(self, network: str, results: Iterable[tuple[Point, Result]]) -> int:
        """Keep results, all at once; returns how many were new.

        Raises
        ------
        ExploreError : the disk is full, or the file cannot be written; earlier ones are kept.
        """
        rows = [
            (result_key(network, point), network, json.dumps(point.values), json.dumps(result))
            for point, result in results
        ]
        with self._errors(), self._database:
            before = self._database.total_changes
            self._database.executemany("INSERT OR IGNORE INTO results VALUES (?, ?, ?, ?)", rows)
            return self._database.total_changes - before

    def begin(self, settings: Settings) -> int:
        """The number of the search with these settings, a new one or the same as before."""
        text = json.dumps(settings, sort_keys=True)
        with self._errors(), self._database:
            self._database.execute(
                "INSERT OR IGNORE INTO searches (sources, settings) VALUES (?, ?)",
                (source_key(), text),
            )
            (number,) = self._database.execute(
                "SELECT number FROM searches WHERE settings = ?", (text,)
            ).fetchone()
            return int(number)

    def note(self, search: int, candidates: Iterable[Mapping[str, Any]]) -> None:
        """Say that candidates belong to a search; those that it has already stay once."""
        rows = [
            (search, content_key(text := json.dumps(candidate, sort_keys=True)), text)
            for candidate in candidates
        ]
        with self._errors(), self._database:
            self._database.executemany("INSERT OR IGNORE INTO candidates VALUES (?, ?, ?)", rows)

    def last_search(self) -> Search | None:
        """The search that was begun last, None in a store without any."""
        with self._errors():
            row = self._database.execute(
                "SELECT number, sources, settings FROM searches ORDER BY number DESC LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            number, sources, settings = row
            candidates = self._database.execute(
                "SELECT candidate FROM candidates WHERE search = ? ORDER BY rowid", (number,)
            )
            found = [json.loads(text) for (text,) in candidates]
            return Search(number, sources, json.loads(settings), found)

    def foreign(self) -> int:
        """Searches of other versions of the tool, whose points are kept and not used."""
        with self._errors():
            (count,) = self._database.execute(
                "SELECT COUNT(*) FROM searches WHERE sources != ?", (source_key(),)
            ).fetchone()
            return int(count)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            reason = str(error)
            if isinstance(error, sqlite3.OperationalError):
                raise ExploreError(
                    f"cannot use store '{self.path}': {reason}; finished points in it are kept"
                ) from None
            raise ExploreError(f"'{self.path}' is no store of results: {reason}") from None
        except OSError as error:
            raise ExploreError(f"cannot use store '{self.path}': {error.strerror}") from None


def network_key(content: bytes) -> str:
    """What a network's file is known by."""
    return content_key(content)


def result_key(network: str, point: Point) -> str:
    """What a result is known by."""
    return content_key(network, source_key(), json.dumps(point.values, sort_keys=True))


@cache
def source_key() -> str:
    """A hash of the tool's own sources: its version, as far as results depend on it."""
    root = Path(__file__).resolve().parents[2]
    files = sorted(path for package in _PACKAGES for path in (root / package).rglob("*.py"))
    return content_key(*(path.read_bytes() for path in files))
