"""TensorFlow, prepared: found, quiet, repeatable."""

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from npu.errors import OptimizeError

THREADS = 2
"""By default; another number gives other roundings of the same sums."""


def require_tensorflow() -> None:
    """Raises `OptimizeError`, which says what to install, when TensorFlow is not installed."""
    if importlib.util.find_spec("tensorflow") is None:
        raise OptimizeError(
            "a Keras model needs TensorFlow: pip install -e '.[train]' in this project's folder,"
            " with Python 3.13 or older"
        )


def prepare(seed: int, threads: int = THREADS) -> None:
    """Make what follows repeatable: the same seed and threads give the same network.

    Raises
    ------
    OptimizeError : TensorFlow is not installed.
    """
    require_tensorflow()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet():
        tf: Any = importlib.import_module("tensorflow")
    # the number of threads is fixed by the first operation
    if not tf.config.threading.get_intra_op_parallelism_threads():
        try:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            pass
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what TensorFlow prints and warns of, in Python and below."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
        logger.setLevel(level)
