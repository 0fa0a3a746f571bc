"""Where Numba keeps compiled code, and keeping it honest.

Numba compiles called functions into their callers, but checks only the caller's own file when it
loads a cached caller: after an edit of `requantize.py`, every kernel would go on computing the old
bits. So a package with cached code drops all of it when any source that it may contain changed.
"""

import atexit
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

STAMP = "sources.sha256"
NUMBA_VARIABLE = "NUMBA_CACHE_DIR"
CACHE_VARIABLE = "NPU_CACHE_DIR"
"""Names a folder for all that this project keeps, compiled code included."""
DEFAULT_FOLDER = "~/.cache/npu-codesign"
KEPT_DAYS = 7
"""How long compiled code of other sources is kept, for checkouts that take turns."""

log = logging.getLogger(__name__)


def choose_folder(packages: Sequence[Path], *dependencies: Path) -> Path | None:
    """Tell Numba where to keep the compiled code of `packages`, folders of sources.

    `dependencies` are other sources whose code is in theirs, files or folders.
    Before any of them is compiled. Numba's own variable comes first, then `NPU_CACHE_DIR`, then the
    sources' own folders where they can be written, then `~/.cache/npu-codesign`. Where none can be,
    as in a container without a home, code is kept as long as the process runs, and a warning says
    so. Returns the folder that Numba is told of, None when it is left to itself.
    """
    if os.environ.get(NUMBA_VARIABLE):
        return None
    chosen = os.environ.get(CACHE_VARIABLE)
    if not chosen and all(_writable(package / "__pycache__") for package in packages):
        return None
    base = Path(chosen) if chosen else _default_folder()
    folder = base / "numba" / _digest((*packages, *dependencies))[:24] if base else None
    if folder and _writable(folder):
        os.utime(folder)
        _drop_old(folder)
    else:
        folder = Path(tempfile.mkdtemp(prefix="npu-numba-"))
        log.warning(
            "compiled kernels cannot be kept in %s: they are compiled anew by every process; set "
            "%s to a folder that can be written",
            base or DEFAULT_FOLDER,
            CACHE_VARIABLE,
        )
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[NUMBA_VARIABLE] = str(folder)
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.config.CACHE_DIR = str(folder)
    return folder


def discard_stale(package: Path, *dependencies: Path) -> bool:
    """Delete the cached code in folder `package` unless it came from the present sources.

    The sources are all `.py` files in `package` and in `dependencies`, files or folders. Returns
    whether code was discarded. A folder that cannot be written holds no cache, and is left alone.
    """
    digest = _digest((package, *dependencies))
    stamp = package / "__pycache__" / STAMP
    try:
        if stamp.exists() and stamp.read_text() == digest:
            return False
        for path in package.rglob("*.nb[ic]"):
            path.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(digest)
    except OSError as error:
        log.debug("cache of %s left alone: %s", package, error)
        return False
    return True


def _default_folder() -> Path | None:
    """Nothing for a user whom the system does not know, as in some containers."""
    try:
        return Path(DEFAULT_FOLDER).expanduser()
    except RuntimeError:
        return None


def _digest(sources: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        for path in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            digest.update(str(path.relative_to(source)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _writable(folder: Path) -> bool:
    """Whether a file can be made in `folder`, which is made when it does not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _drop_old(folder: Path) -> None:
    limit = time.time() - KEPT_DAYS * 24 * 3600
    for other in folder.parent.iterdir():
        try:
            if other.stat().st_mtime < limit:
                shutil.rmtree(other)
        except OSError as error:
            log.debug("old cache %s left alone: %s", other, error)
