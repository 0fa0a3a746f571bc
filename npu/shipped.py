"""The trained network that the project ships, and real images to run it on; offered as `npu.zoo`.

`fashion_resnet.tflite` is a fully-int8 residual network for 28x28 greyscale photographs of
clothing, made by `train_fashion_resnet.py`; `fashion_resnet.json` records how, and how accurate it
is on the images it was not trained on. See `zoo/README.md`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtl.errors import NpuError

_FOLDER = Path(__file__).resolve().parent / "zoo"


class UnknownNetworkError(NpuError):
    """A network that the project does not ship was asked for by name."""


def names() -> tuple[str, ...]:
    """Names of the shipped networks, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.tflite")))


def model_path(name: str = "fashion_resnet") -> Path:
    """Path of the .tflite file of the network `name`.

    Raises `UnknownNetworkError` when there is no such network.
    """
    if name not in names():
        raise UnknownNetworkError(
            f"no network {name!r} is shipped; there is {', '.join(names()) or 'none'}"
        )
    return _FOLDER / f"{name}.tflite"


def load_record(name: str = "fashion_resnet") -> dict[str, Any]:
    """How the network `name` was made and what was measured, as `<name>.json` holds it.

    Among its keys are `recipe`, `parameters`, `macs`, `operators` (in execution order),
    `float_accuracy`, `int8_accuracy` (in [0, 1]), `images` (`label` and `int8_predicted` of the
    shipped images) and `sha256` of the .tflite. Raises `UnknownNetworkError` as `model_path` does.
    """
    record: dict[str, Any] = json.loads(model_path(name).with_suffix(".json").read_text())
    return record


def load_images() -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[str, ...]]:
    """The shipped held-out test images: `(images, labels, class_names)`.

    `images` is uint8 [20, 28, 28, 1] (the pixels, 0 is black), `labels` uint8 [20], and
    `class_names[label]` the name of a class. The network was trained on pixel / 255, and its input
    has scale 1/255 and zero point -128, so its int8 input is the pixel minus 128: `to_int8`.
    """
    with np.load(_FOLDER / "fashion_images.npz") as arrays:
        class_names = tuple(str(name) for name in arrays["class_names"])
        return arrays["images"], arrays["labels"], class_names


def to_int8(images: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Quantize uint8 pixels, of any shape, for the shipped network: exactly pixel minus 128.

    Raises `TypeError` for another dtype: floats would need rounding, which is the caller's choice.
    """
    if images.dtype != np.uint8:
        raise TypeError(f"images are {images.dtype}, uint8 is needed")
    return (images.astype(np.int16) - 128).astype(np.int8)
