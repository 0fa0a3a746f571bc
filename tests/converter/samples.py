"""Which converted files are small enough to be committed, for CI to run without TensorFlow."""

from pathlib import Path

from tests.converter.conversion import converted

FOLDER = Path(__file__).with_name("samples")

SAMPLES = (
    ("flattened", "none", "int8"),
    ("flattened", "none", "uint8"),
    ("flattened", "none", "float"),
    ("flattened", "none", "int16x8"),
    ("two_inputs_two_outputs", "none", "int8"),
    ("conv1d", "none", "int8"),
    ("temporal_convolutions", "none", "int8"),
    ("temporal_convolutions", "one", "uint8"),
    ("separable", "none", "uint8"),
    ("lstm_fused", "one", "int8"),
    ("lstm_unrolled", "one", "int8"),
    ("dense_3d", "one", "int8"),
    ("transformer_relu", "one", "int8"),
    ("autoencoder", "none", "int8"),
    ("aspp", "none", "int8"),
    ("cropped", "none", "uint8"),
    ("asymmetric_padding", "none", "float"),
    ("upsampling_bilinear", "none", "int8"),
    ("shufflenet", "none", "int8"),
    ("group_normalization", "none", "int8"),
    ("layer_normalization", "one", "int8"),
    ("prelu", "none", "int8"),
    ("relu_capped_and_sloped", "none", "int8"),
    ("elu_and_tanh", "none", "float"),
    ("batch_normalization_alone", "none", "int8"),
    ("global_max_pool", "none", "int8"),
    ("minimum_and_maximum", "none", "int8"),
)
"""Network, batch and mode of each."""


def path_of(name: str, batch: str, mode: str) -> Path:
    """Where the file lies."""
    return FOLDER / f"{name}-{batch}-{mode}.tflite"


def write() -> None:
    """Write all of them anew; ValueError where the converter refuses one."""
    FOLDER.mkdir(exist_ok=True)
    for key in SAMPLES:
        model = converted(*key)
        if isinstance(model, str):
            raise ValueError(f"{'/'.join(key)}: {model}")
        path_of(*key).write_bytes(model)
