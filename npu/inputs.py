"""Turns what the user names after `--input` into the network's input tensors.

Four forms are understood:

`FILE.npy`, `FILE.npz:key`
    An array of the input's type, int8 or int16, is taken as it is. A floating-point array holds
    real values and is quantized with the input's scale and zero point as TFLM does (half away from
    zero, saturating). A leading batch dimension of 1 may be missing. The key may be left out when
    the file holds one array.
    A float32 input, which the network quantizes itself, takes floating-point arrays only.
`IMAGE` (png, jpg, bmp, gif, ppm, webp, ...)
    Must have the network's height and width: nothing is resized. Converted to grey or RGB by the
    network's channels. Which real value a pixel of 0..255 stands for follows from the range of
    real values that the input can represent: 0..255 where the range reaches beyond 8; otherwise
    -1..1 where it goes below -0.5; otherwise 0..1. A network trained with any other normalization
    needs an array.
`random:SEED`
    Every int8 (or int16) value with equal probability, from numpy's default generator; for a
    float32 input, the real values that these stand for.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kernels.checks import RANGES
from kernels.quantize import dequantize, quantize_float
from npu.errors import InputError
from npu.model.graph import Graph, Tensor

DEFAULT_INPUT = "random:0"
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)
ALLOWED_FORMS = "FILE.npy, FILE.npz:key, an image (png, jpg, ...) or random:SEED"

# the input's greatest real value from which on it is taken to mean pixels of 0..255
PIXEL_RANGE_FROM = 8.0
# the input's least real value below which it is taken to mean pixels of -1..1
SIGNED_RANGE_BELOW = -0.5


def load_inputs(specs: Sequence[str], graph: Graph) -> dict[int, NDArray[Any]]:
    """The network's inputs by tensor index, of the graph's types (int8, int16, float32) and shapes.

    `specs` gives one of the forms above for each input, in the model's order. A single
    `random:SEED` fills every input; no spec means `random:0`.

    Raises `InputError` with what was given and what is allowed.
    """
    tensors = [graph.tensors[i] for i in graph.inputs]
    specs = list(specs) or [DEFAULT_INPUT]
    quantized = {t.index: _quantized(graph, t) for t in tensors}
    if len(specs) == 1 and specs[0].startswith("random:"):
        generator = np.random.default_rng(_seed(specs[0]))
        return {
            t.index: _as_type(t, _random(generator, quantized[t.index]), quantized[t.index])
            for t in tensors
        }
    if len(specs) != len(tensors):
        raise InputError(
            f"{len(specs)} inputs given, the network has {len(tensors)}: "
            + ", ".join(f"{t.name!r} {list(t.shape)}" for t in tensors)
        )
    return {
        t.index: _load_one(spec, t, quantized[t.index])
        for spec, t in zip(specs, tensors, strict=True)
    }


def quantize_input(values: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """Real `values` (any float dtype and shape) in the tensor's type, scale and zero point.

    As TFLM's QUANTIZE does it in float32. The tensor must be quantized per tensor.

    Raises `InputError` for values that are not finite, or too large for that.
    """
    scale, zero_point = _parameters(tensor)
    with np.errstate(over="ignore"):
        reals = np.ascontiguousarray(values, np.float32)
    try:
        return quantize_float(reals, scale=scale, zero_point=zero_point, dtype=tensor.dtype)
    except ValueError as error:
        raise InputError(f"values for the network's input {tensor.name!r}: {error}") from None


def _quantized(graph: Graph, tensor: Tensor) -> Tensor:
    """The tensor with the input's quantization: itself, or what QUANTIZE makes of it."""
    if tensor.dtype in RANGES:
        return tensor
    consumers = graph.consumers(tensor.index)
    if tensor.dtype == np.float32 and consumers:
        return graph.output_tensor(consumers[0])
    raise InputError(
        f"the network's input {tensor.name!r} is {tensor.dtype.name}, only int8, int16 and float32 "
        "inputs can be given"
    )


def _as_type(tensor: Tensor, values: NDArray[Any], quantized: Tensor) -> NDArray[Any]:
    """`values` as they are, or the real values that they stand for when `tensor` is float32."""
    if tensor.dtype in RANGES:
        return values
    scale, zero_point = _parameters(quantized)
    return dequantize(values, scale=scale, zero_point=zero_point)


def _load_one(spec: str, tensor: Tensor, quantized: Tensor) -> NDArray[Any]:
    if spec.startswith("random:"):
        values = _random(np.random.default_rng(_seed(spec)), quantized)
        return _as_type(tensor, values, quantized)
    path, key = _split_key(spec)
    suffix = path.suffix.lower()
    if suffix not in {".npy", ".npz"} | IMAGE_SUFFIXES:
        raise InputError(f"input {spec!r} is of an unknown form, allowed are {ALLOWED_FORMS}")
    if not path.is_file():
        raise InputError(f"input file '{path}' does not exist")
    if suffix in IMAGE_SUFFIXES:
        pixels = _from_image(path, tensor, quantized)
        return quantize_input(pixels, tensor) if tensor.dtype in RANGES else pixels
    return _from_array(_load_array(path, key), spec, tensor)


def _random(generator: np.random.Generator, tensor: Tensor) -> NDArray[Any]:
    low, high = RANGES[tensor.dtype]
    return np.asarray(generator.integers(low, high + 1, tensor.shape, tensor.dtype))


def _seed(spec: str) -> int:
    text = spec.removeprefix("random:")
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"input {spec!r}: the seed {text!r} is not a whole number from 0")
    return int(text)


def _split_key(spec: str) -> tuple[Path, str | None]:
    name, separator, key = spec.rpartition(".npz:")
    if separator:
        return Path(name + ".npz"), key
    return Path(spec), None


def _load_array(path: Path, key: str | None) -> NDArray[Any]:
    try:
        # numpy leaves a broken file open when it opens it itself
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            names = loaded.files
            if key is None and len(names) == 1:
                key = names[0]
            if key is None or key not in names:
                asked = "no key given" if key is None else f"no array {key!r}"
                raise InputError(f"input file '{path}': {asked}, it holds {_listed(names)}")
            return np.asarray(loaded[key])
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"input file '{path}' is not a readable numpy file: {error}") from None


def _listed(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "nothing"


def _from_array(array: NDArray[Any], spec: str, tensor: Tensor) -> NDArray[Any]:
    shaped = array
    if array.shape == tensor.shape[1:] and tensor.shape[:1] == (1,):
        shaped = array[np.newaxis]
    if shaped.shape != tensor.shape:
        raise InputError(
            f"input {spec!r} has shape {list(array.shape)}, the network's input {tensor.name!r} "
            f"has {list(tensor.shape)}"
        )
    if shaped.dtype == tensor.dtype and tensor.dtype in RANGES:
        return np.ascontiguousarray(shaped)
    if not np.issubdtype(shaped.dtype, np.floating):
        allowed = "allowed is floating point (real values)"
        if tensor.dtype in RANGES:
            allowed = (
                f"allowed are {tensor.dtype.name} (quantized values) and floating point "
                "(real values)"
            )
        raise InputError(f"input {spec!r} is {array.dtype.name}, {allowed}")
    if tensor.dtype in RANGES:
        return quantize_input(shaped, tensor)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(shaped, np.float32)


def _from_image(path: Path, tensor: Tensor, quantized: Tensor) -> NDArray[np.float32]:
    # pillow takes 30 ms to import, and most inputs are arrays
    from PIL import Image, UnidentifiedImageError

    height, width, channels, channels_last = _image_layout(path, tensor)
    try:
        with Image.open(path) as image:
            if (image.height, image.width) != (height, width):
                raise InputError(
                    f"image '{path}' has {image.height} rows of {image.width} pixels, the "
                    f"network's input {tensor.name!r} has {height} rows of {width}; nothing is "
                    "resized"
                )
            pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"'{path}' is not a readable image: {error}") from None
    pixels = pixels.reshape(height, width, channels)
    if not channels_last:
        pixels = pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(_real_pixels(pixels, quantized)[np.newaxis])


def _image_layout(path: Path, tensor: Tensor) -> tuple[int, int, int, bool]:
    """Height, width, channels, and whether the channels come last."""
    shape = tensor.shape
    if len(shape) == 4 and shape[0] == 1:
        if shape[3] in (1, 3):
            return shape[1], shape[2], shape[3], True
        if shape[1] in (1, 3):
            return shape[2], shape[3], shape[1], False
    raise InputError(
        f"image '{path}' cannot be the network's input {tensor.name!r} of shape {list(shape)}: "
        "one picture with 1 or 3 channels expected"
    )


def _real_pixels(pixels: NDArray[np.uint8], tensor: Tensor) -> NDArray[np.float32]:
    scale, zero_point = _parameters(tensor)
    low, high = RANGES[tensor.dtype]
    least, greatest = (low - zero_point) * scale, (high - zero_point) * scale
    real = pixels.astype(np.float32)
    if greatest > PIXEL_RANGE_FROM:
        return real
    if least < SIGNED_RANGE_BELOW:
        return real / np.float32(127.5) - np.float32(1.0)
    return real / np.float32(255.0)


def _parameters(tensor: Tensor) -> tuple[float, int]:
    if tensor.quantization is None:
        raise InputError(f"the network's input {tensor.name!r} has no scale")
    return tensor.quantization.scale, tensor.quantization.zero_point
