"""Turns what the user names after `--input` into the network's input tensors.

Four forms are understood:

`FILE.npy`, `FILE.npz:key`
    An array of the input's type (int8, uint8, int16, int32, bool, ...) is taken as it is. A
    floating-point array holds real values and is quantized with the input's scale and zero point as
    TFLM does (half away from zero, saturating). A leading batch dimension of 1 may be missing. The
    key may be left out when the file holds one array.
    A float32 input, which the network quantizes itself, takes floating-point arrays only.
`IMAGE` (png, jpg, bmp, gif, ppm, webp, ...)
    Must have the network's height and width, unless resizing is asked for: then it is turned as
    its file says, its middle is taken in the network's proportions and scaled, and a line says so.
    Converted to grey or RGB by the
    network's channels; 16-bit grey is scaled to 0..255, transparency and all frames but the first
    are dropped, and a line says so. Which real value a pixel of 0..255 stands for follows from the
    range of real values that the input can represent: 0..255 where the range reaches beyond 8;
    otherwise -1..1 where it goes below -0.5; otherwise 0..1. The real value is then quantized with
    the input's scale and zero point: to uint8 it mostly becomes the pixel itself, to int8 the pixel
    less 128. A float32 input takes the real value; its range is that of the QUANTIZE behind it, and
    0..1 where there is none. A network trained with any other normalization needs an array.
`random:SEED`
    Every int8, uint8 or int16 value with equal probability, from numpy's default generator; for a
    float32 input, the real values that these stand for, or -1..1 where no QUANTIZE says. Other
    integers are 0 or 1, or indices that the table behind them has.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.checks import RANGES
from kernels.quantize import dequantize, quantize_float
from npu.errors import InputError
from npu.input_files import read_array, read_image
from npu.model.graph import Graph, Tensor
from npu.model.options import AxisOptions

Source = str | Path | NDArray[Any]
"""Where an input comes from: one of the forms above, or the array itself."""

DEFAULT_INPUT = "random:0"
IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
)
ALLOWED_FORMS = "FILE.npy, FILE.npz:key, an image (png, jpg, ...) or random:SEED"
INTEGER_RANGES = {**RANGES, np.dtype(np.uint8): (0, 255)}
"""The least and greatest value of each type that stands for real values."""
# larger seeds have no more randomness than numpy's generator has state
SEED_DIGITS = 39

# the input's greatest real value from which on it is taken to mean pixels of 0..255
PIXEL_RANGE_FROM = 8.0
# the input's least real value below which it is taken to mean pixels of -1..1
SIGNED_RANGE_BELOW = -0.5


def load_inputs(
    specs: Sequence[Source], graph: Graph, *, resize: bool = False
) -> dict[int, NDArray[Any]]:
    """The network's inputs by tensor index, of the graph's types and shapes.

    `specs` gives one of the forms above for each input, or the array itself, in the model's order.
    A single `random:SEED` fills every input; no spec means `random:0`. `resize` allows images of
    other sizes.

    Raises `InputError` with what was given and what is allowed.
    """
    tensors = [graph.tensors[i] for i in graph.inputs]
    specs = list(specs) or [DEFAULT_INPUT]
    first = specs[0]
    if len(specs) == 1 and isinstance(first, str) and first.startswith("random:"):
        generator = np.random.default_rng(_seed(first))
        return {t.index: _random(generator, graph, t) for t in tensors}
    if len(specs) != len(tensors):
        raise InputError(
            f"{len(specs)} inputs given, the network has {len(tensors)}: "
            + ", ".join(f"{t.name!r} {list(t.shape)}" for t in tensors)
        )
    return {
        t.index: _load_one(spec, graph, t, resize) for spec, t in zip(specs, tensors, strict=True)
    }


def quantize_input(values: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """Real `values` (any float dtype and shape) in the tensor's type, scale and zero point.

    As TFLM's QUANTIZE does it in float32; for uint8 as for int8 with a zero point less 128, plus
    128. The tensor must be int8, uint8 or int16, quantized per tensor.

    Raises `InputError` for values that are not finite, or too large for that.
    """
    scale, zero_point = _parameters(tensor)
    with np.errstate(over="ignore"):
        reals = np.ascontiguousarray(values, np.float32).reshape(values.shape)
    unsigned = tensor.dtype == np.uint8
    try:
        quantized = quantize_float(
            reals,
            scale=scale,
            zero_point=zero_point - 128 if unsigned else zero_point,
            dtype=np.int8 if unsigned else tensor.dtype,
        )
    except ValueError as error:
        raise InputError(f"values for the network's input {tensor.name!r}: {error}") from None
    return quantized.view(np.uint8) ^ np.uint8(128) if unsigned else quantized


def _quantized(graph: Graph, tensor: Tensor) -> Tensor | None:
    """A tensor with the scale of the input: itself, or what a QUANTIZE makes of a float32 one."""
    if tensor.dtype in INTEGER_RANGES:
        return tensor
    made = [
        graph.output_tensor(op) for op in graph.consumers(tensor.index) if op.kind == "QUANTIZE"
    ]
    return next((t for t in made if t.dtype in RANGES), None)


def _load_one(source: Source, graph: Graph, tensor: Tensor, resize: bool) -> NDArray[Any]:
    if not isinstance(source, str | Path):
        array = np.asarray(source)
        _form_check("array", tensor)(array.shape, array.dtype)
        return _from_array("array", array, tensor)
    spec = str(source)
    if spec.startswith("random:"):
        return _random(np.random.default_rng(_seed(spec)), graph, tensor)
    path, key = _split_key(spec)
    suffix = path.suffix.lower()
    if suffix not in {".npy", ".npz"} | IMAGE_SUFFIXES:
        raise InputError(f"input {spec!r} is of an unknown form, allowed are {ALLOWED_FORMS}")
    if suffix in IMAGE_SUFFIXES:
        return _from_image(path, graph, tensor, resize)
    return _from_array(spec, read_array(path, key, _form_check(spec, tensor)), tensor)


def _random(generator: np.random.Generator, graph: Graph, tensor: Tensor) -> NDArray[Any]:
    if tensor.dtype in INTEGER_RANGES:
        return _integers(generator, tensor)
    if tensor.dtype == np.float32:
        quantized = _quantized(graph, tensor)
        if quantized is None:
            return generator.uniform(-1.0, 1.0, tensor.shape).astype(np.float32)
        scale, zero_point = _parameters(quantized)
        integers = _integers(generator, quantized).reshape(tensor.shape)
        return dequantize(integers, scale=scale, zero_point=zero_point)
    if tensor.dtype.kind not in "iub":
        raise InputError(
            f"the network's input {tensor.name!r} is {tensor.type_name}, only integers, bool and "
            "float32 can be given"
        )
    numbers = generator.integers(0, _greatest(graph, tensor) + 1, tensor.shape)
    return np.asarray(numbers, tensor.dtype)


def _integers(generator: np.random.Generator, tensor: Tensor) -> NDArray[Any]:
    low, high = INTEGER_RANGES[tensor.dtype]
    return np.asarray(generator.integers(low, high + 1, tensor.shape, tensor.dtype))


def _greatest(graph: Graph, tensor: Tensor) -> int:
    """The greatest index that every table which the input looks up has; otherwise 1."""
    sizes = []
    for op in graph.consumers(tensor.index):
        if op.kind == "EMBEDDING_LOOKUP" and op.inputs[0] == tensor.index:
            sizes.append(graph.tensors[op.inputs[1]].shape[0])
        elif op.kind == "GATHER" and op.inputs[1] == tensor.index:
            axis = op.options.axis if isinstance(op.options, AxisOptions) else 0
            sizes.append(graph.tensors[op.inputs[0]].shape[axis])
    return min(sizes) - 1 if sizes else 1


def _seed(spec: str) -> int:
    text = spec.removeprefix("random:")
    if not (text.isascii() and text.isdigit()) or len(text) > SEED_DIGITS:
        shown = text if len(text) <= SEED_DIGITS else f"{text[:SEED_DIGITS]}..."
        raise InputError(
            f"input 'random:{shown}': the seed {shown!r} is not a whole number from 0 of up to "
            f"{SEED_DIGITS} digits"
        )
    return int(text)


def _split_key(spec: str) -> tuple[Path, str | None]:
    name, separator, key = spec.rpartition(".npz:")
    if separator:
        return Path(name + ".npz"), key
    return Path(spec), None


def _form_check(spec: str, tensor: Tensor) -> Callable[[tuple[int, ...], np.dtype[Any]], None]:
    """Refuses an array of a shape or type that `tensor` cannot be given as."""

    def check(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        without_batch = shape == tensor.shape[1:] and tensor.shape[:1] == (1,)
        if shape != tensor.shape and not without_batch:
            raise InputError(
                f"input {spec!r} has shape {list(shape)}, the network's input {tensor.name!r} has "
                f"{list(tensor.shape)}"
            )
        real = tensor.dtype in INTEGER_RANGES or tensor.dtype == np.float32
        if dtype.newbyteorder("=") != tensor.dtype and not (
            real and np.issubdtype(dtype, np.floating)
        ):
            raise InputError(f"input {spec!r} is {dtype}, {_allowed(tensor)}")

    return check


def _from_array(spec: str, array: NDArray[Any], tensor: Tensor) -> NDArray[Any]:
    """An array of a form that is allowed in the shape and type of `tensor`.

    Raises `InputError` for NaN and infinity, which are no real values: what C makes of them differs
    from machine to machine.
    """
    wrong = np.argwhere(~np.isfinite(array))
    if wrong.size:
        first = wrong[0].tolist()
        raise InputError(
            f"input {spec!r} holds {array[tuple(first)]} at index {first}, {len(wrong)} of its "
            f"{array.size} values are like that, finite numbers expected"
        )
    array = array.reshape(tensor.shape)
    if tensor.dtype in INTEGER_RANGES and np.issubdtype(array.dtype, np.floating):
        return quantize_input(array, tensor)
    with np.errstate(over="ignore"):
        return array.astype(tensor.dtype, order="C")


def _allowed(tensor: Tensor) -> str:
    if tensor.dtype == np.float32:
        return "allowed is floating point (real values)"
    if tensor.dtype in INTEGER_RANGES:
        return f"allowed are {tensor.type_name} (quantized values) and floating point (real values)"
    return f"allowed is {tensor.type_name}"


def _from_image(path: Path, graph: Graph, tensor: Tensor, resize: bool) -> NDArray[Any]:
    height, width, channels, channels_last = _image_layout(path, tensor)
    if tensor.dtype not in INTEGER_RANGES and tensor.dtype != np.float32:
        raise InputError(f"image '{path}' cannot be an input of {tensor.type_name}")
    pixels = read_image(path, height, width, channels, resize=resize)
    if not channels_last:
        pixels = pixels.transpose(2, 0, 1)
    real = _real_pixels(np.ascontiguousarray(pixels[np.newaxis]), _quantized(graph, tensor))
    return real if tensor.dtype == np.float32 else quantize_input(real, tensor)


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


def _real_pixels(pixels: NDArray[np.float32], tensor: Tensor | None) -> NDArray[np.float32]:
    """What `pixels` of 0..255 stand for, by the range of real values that `tensor` holds."""
    if tensor is not None:
        scale, zero_point = _parameters(tensor)
        low, high = INTEGER_RANGES[tensor.dtype]
        if (high - zero_point) * scale > PIXEL_RANGE_FROM:
            return pixels
        if (low - zero_point) * scale < SIGNED_RANGE_BELOW:
            return pixels / np.float32(127.5) - np.float32(1.0)
    return pixels / np.float32(255.0)


def _parameters(tensor: Tensor) -> tuple[float, int]:
    if tensor.quantization is None:
        raise InputError(f"the network's input {tensor.name!r} has no scale")
    return tensor.quantization.scale, tensor.quantization.zero_point
