"""Things that are built once and kept: files by content hash, safe against concurrent builders.

They live in `~/.cache/npu-codesign`; the environment variable `NPU_CACHE_DIR` names another
folder. The folder may be deleted at any time.
"""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sim.errors import BuildError

CACHE_VARIABLE = "NPU_CACHE_DIR"


def cache_folder() -> Path:
    """The folder for built things.

    Raises `BuildError` for a user whom the system does not know, as in some containers.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    try:
        return Path.home() / ".cache" / "npu-codesign"
    except RuntimeError:
        raise BuildError(
            f"there is no home folder for what is built once: set {CACHE_VARIABLE} to a writable"
            " folder"
        ) from None


def content_key(*parts: str | bytes | dict[str, int | str] | list[str]) -> str:
    """A short hash of everything that a built thing depends on."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part if isinstance(part, bytes) else json.dumps(part).encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:24]


def cached(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The folder `kind/key` of the cache; `build` fills it when it does not exist yet.

    `build` gets an empty folder beside the final one, which is renamed when it returns: a folder
    in the cache is always complete. A second process that wants the same key waits for the first.

    Raises
    ------
    BuildError : the cache folder cannot be written. Errors of `build` pass through.
    """
    parent = cache_folder() / kind
    final = parent / key
    if final.is_dir():
        return final
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with _locked(parent / f"{key}.lock"):
            if not final.is_dir():
                with tempfile.TemporaryDirectory(dir=parent, prefix=f"{key}.") as folder:
                    content = Path(folder) / "content"
                    content.mkdir()
                    build(content)
                    content.rename(final)
    except OSError as error:
        raise BuildError(
            f"cannot use cache folder {parent}: {error.strerror};"
            f" set {CACHE_VARIABLE} to a writable folder"
        ) from None
    return final


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
