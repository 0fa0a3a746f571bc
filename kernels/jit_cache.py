"""Keeps Numba's on-disk cache honest.

Numba compiles called functions into their callers, but checks only the caller's own file when it
loads a cached caller: after an edit of `requantize.py`, every kernel would go on computing the old
bits. So a package with cached code drops all of it when any source that it may contain changed.
"""

import hashlib
import logging
from pathlib import Path

STAMP = "sources.sha256"

log = logging.getLogger(__name__)


def discard_stale(package: Path, *dependencies: Path) -> bool:
    """Delete the cached code in folder `package` unless it came from the present sources.

    The sources are all `.py` files in `package` and in the folders `dependencies`. Returns whether
    code was discarded. A folder that cannot be written holds no cache, and is left alone.
    """
    digest = hashlib.sha256()
    for folder in (package, *dependencies):
        for path in sorted(folder.rglob("*.py")):
            digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    stamp = package / "__pycache__" / STAMP
    try:
        if stamp.exists() and stamp.read_text() == digest.hexdigest():
            return False
        for path in package.rglob("*.nb[ic]"):
            path.unlink(missing_ok=True)
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(digest.hexdigest())
    except OSError as error:
        log.debug("cache of %s left alone: %s", package, error)
        return False
    return True
