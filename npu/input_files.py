"""Reads arrays and pictures that a user names: one function for each kind of file.

Whatever a library raises about a file becomes one line, and the size that a file claims is compared
with what is wanted before anything of that size is read.
"""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from zipfile import ZipFile, is_zipfile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from npu.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

log = logging.getLogger(__name__)

Check = Callable[[tuple[int, ...], np.dtype[Any]], None]
"""Raises `InputError` for an array of a shape and type that is not wanted."""

MAX_HEADER = 16_384
GREY_16_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
TURN = 0x0112
"""The tag of EXIF that says how a camera was held."""
WIDE_MODES = {"I": "32-bit integers", "F": "floating-point numbers"}


def read_array(path: Path, key: str | None, check: Check) -> NDArray[Any]:
    """The array in a .npy file, or the one called `key` in a .npz file, if `check` allows it.

    `key` may be None when the file holds one array.

    Raises `InputError` for a file that is missing, unreadable, or holds something else.
    """
    with _blamed(path, "numpy file"):
        with path.open("rb") as file:
            if not is_zipfile(file):
                file.seek(0)
                return _read_npy(file, check)
        with ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if key is None and len(names) == 1:
                key = names[0]
            if key is None or key not in names:
                asked = "no key given" if key is None else f"no array {key!r}"
                raise InputError(f"input file '{path}': {asked}, it holds {_listed(names)}")
            with archive.open(archive.namelist()[names.index(key)]) as member:
                return _read_npy(member, check)


def read_image(
    path: Path, height: int, width: int, channels: int, *, resize: bool = False
) -> NDArray[np.float32]:
    """The picture in a file as (height, width, channels), each pixel from 0 to 255.

    Grey pictures become colour and colour grey, as `channels` (1 or 3) asks. 16-bit grey is scaled
    to the same range. Transparency and all frames but the first are dropped, and a line in the log
    says so. With `resize` a picture of another size is turned as its file says, and the largest
    part of its middle that has the asked proportions is scaled, which another line says.

    Raises `InputError` for a file that is missing or unreadable, of another height and width
    without `resize`, or with pixels that are no numbers of 8 or 16 bits.
    """
    # pillow takes 30 ms to import, and most inputs are arrays
    from PIL import Image, ImageOps

    with _blamed(path, "image"), warnings.catch_warnings():
        # about the size, which is compared before any pixel is read, or limited by the library
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            if (image.height, image.width) != (height, width) and not resize:
                raise InputError(
                    f"image '{path}' has {image.height} rows of {image.width} pixels, the "
                    f"network's input has {height} rows of {width}; --resize would scale it"
                )
            if image.mode in WIDE_MODES:
                raise InputError(
                    f"image '{path}' holds {WIDE_MODES[image.mode]}, pixels of 8 or 16 bits "
                    "expected: give it as an array"
                )
            frames = getattr(image, "n_frames", 1)
            if frames > 1:
                log.warning("image '%s': the first of %d frames is read", path, frames)
            if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
                log.warning("image '%s': its transparency is dropped", path)
            if image.mode in GREY_16_BITS:
                grey = np.asarray(image).astype(np.float32) / np.float32(257)
                picture: Image.Image = Image.fromarray(grey)
            else:
                picture = image.convert("L" if channels == 1 else "RGB")
            if resize:
                # the turn is noted in the file, which what is converted no longer is
                turn = Image.Exif.get(image.getexif(), TURN)
                if turn is not None:
                    picture.getexif()[TURN] = turn
                    picture = ImageOps.exif_transpose(picture)
                picture = _fitted(picture, path, height, width)
            pixels = np.asarray(picture, np.float32).reshape(height, width, -1)
    return pixels if pixels.shape[2] == channels else np.repeat(pixels, channels, axis=2)


def _fitted(picture: "Image", path: Path, height: int, width: int) -> "Image":
    """The middle of a picture, in the proportions of `height` and `width`, scaled to them."""
    from PIL import Image, ImageOps

    if (picture.height, picture.width) == (height, width):
        return picture
    scale = min(picture.height / height, picture.width / width)
    log.warning(
        "image '%s': of %d rows of %d pixels the middle %d x %d are taken, and scaled to %d x %d",
        path,
        *(picture.height, picture.width),
        *(round(height * scale), round(width * scale)),
        *(height, width),
    )
    return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)


@contextmanager
def _blamed(path: Path, what: str) -> Iterator[None]:
    """Turn anything that is raised about the file at `path` into one `InputError`."""
    try:
        if not path.is_file():
            fault = "is not a regular file" if path.exists() else "does not exist"
            raise InputError(f"input file '{path}' {fault}")
        yield
    except InputError:
        raise
    # libraries raise what they please: zlib.error, TokenError, struct.error, RecursionError, ...
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"'{path}' is not a readable {what}: {reason}") from None


def _read_npy(file: IO[bytes], check: Check) -> NDArray[Any]:
    # a header may claim to be longer than any memory
    head = BytesIO(file.read(MAX_HEADER))
    version = npy.read_magic(head)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(head, MAX_HEADER)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(head, MAX_HEADER)
    else:
        raise ValueError(f"its format version is {version}, (1, 0) and (2, 0) are read")
    if dtype.hasobject or dtype.fields is not None:
        raise ValueError(f"it holds {dtype}, numbers expected")
    check(shape, dtype)
    size = prod(shape) * dtype.itemsize
    data = head.read(size)
    data += file.read(size - len(data))
    if len(data) != size:
        raise ValueError(f"it ends after {len(data)} of {size} bytes")
    array = np.frombuffer(data, dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _listed(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "nothing"
