"""Writes clustered weights in TFLM's own compressed form: indices and lookup tables.

A `TFLM_DECODE` operator in front of each consumer decodes them; such a file runs in TFLM, not in
TFLite. TFLM's own tool, a part of its wheel, does the writing.
"""

import contextlib
import io
import warnings

import numpy as np

from npu.errors import OptimizeError
from npu.model.tflite_reader import read_model_bytes
from npu.optimize.weights import LayerWeights, find_weights

MAX_BITS = 7
"""Bits of an index at most."""


def write_lut_file(content: bytes) -> tuple[bytes, list[str]]:
    """A network with those weights as lookup tables that get smaller by it, and their names.

    Per-channel weights get a table for each channel: with one for the tensor, the wheel's decoder
    would take the scales for the channels of the tables.

    Raises
    ------
    OptimizeError : the wheel is not installed, or no weights get smaller.
    """
    try:
        from tflite_micro.tensorflow.lite.micro.compression import SpecBuilder, compress
        from tflite_micro.tensorflow.lite.micro.compression.spec import PerChannel, PerTensor
    except ImportError as error:
        raise OptimizeError(
            f"tflm-lut needs the compressor in the tflite-micro wheel ({error}): Linux x86-64 has"
            " one, pip install tflite-micro pyyaml"
        ) from None
    builder = SpecBuilder()
    names = []
    for layer in find_weights(read_model_bytes(content, "model")):
        per_channel = len(np.unique(layer.scales)) > 1
        bits = index_bits(layer, per_channel=per_channel)
        if bits > MAX_BITS or lut_bytes(layer, bits, per_channel) >= layer.codes.size:
            continue
        tensor = builder.add_tensor(subgraph=0, tensor=layer.tensor)
        tensor.with_lut(
            index_bitwidth=bits, mode=PerChannel(axis=0) if per_channel else PerTensor()
        )
        names.append(f"{layer.kind} {layer.operator}")
    if not names:
        raise OptimizeError("no weights get smaller as lookup tables: --cluster makes them so")
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return bytes(compress(content, builder.build())), names


def index_bits(layer: LayerWeights, *, per_channel: bool) -> int:
    """Bits of an index into the table of the channel, or of the tensor."""
    return max(1, (_entries(layer, per_channel) - 1).bit_length())


def lut_bytes(layer: LayerWeights, bits: int, per_channel: bool) -> int:
    """Bytes of indices and tables."""
    tables = len(layer.codes) if per_channel else 1
    return -(-layer.codes.size * bits // 8) + 16 + tables * _entries(layer, per_channel)


def _entries(layer: LayerWeights, per_channel: bool) -> int:
    if not per_channel:
        return len(np.unique(layer.codes))
    return max(len(np.unique(channel)) for channel in layer.codes)
