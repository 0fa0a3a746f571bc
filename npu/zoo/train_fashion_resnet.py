"""Train, quantize and record the small residual network that `npu.zoo` ships.

    python -m npu.zoo.train_fashion_resnet --out DIR

The data are Fashion-MNIST (28x28 greyscale photographs of clothing, 10 classes), as packaged by
Debian in `dataset-fashion-mnist`. The 60,000 training images train the network and calibrate its
activation ranges; the 10,000 test images are used once, after the last epoch, to measure
accuracy. Nothing is selected on them: the weights are those of the last epoch.

Three files are written to `--out`: `fashion_resnet.tflite`, `fashion_images.npz` (the first two
test images of each class) and `fashion_resnet.json` (recipe, accuracies, predictions). The same
seed, versions, number of threads and processor family give the same bytes.
"""

import argparse
import gzip
import hashlib
import importlib
import json
import logging
import os
import platform
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOG = logging.getLogger("npu.zoo.train")

DEBIAN_DATA = Path("/usr/share/datasets/fashion-mnist")
CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
IMAGES_PER_CLASS = 2
BATCH = 128
LEARNING_RATE = 3e-3
WARMUP_EPOCHS = 1
WEIGHT_DECAY = 0.05
BATCHNORM_MOMENTUM = 0.9
MAX_SHIFT = 2
CALIBRATION_IMAGES = 1000
THREADS = 2

Images = NDArray[np.uint8]
Batch = tuple[NDArray[np.float32], NDArray[np.uint8]]


class DataError(Exception):
    """The data set is missing or damaged; the message is one line meant for the user."""


def read_idx(path: Path, shape: tuple[int, ...]) -> Images:
    """Read a gzip-compressed IDX file of uint8 that must hold an array of `shape`.

    Format: two zero bytes, the type (8 = uint8), the number of dimensions, each dimension as a
    big-endian uint32, then the data in row-major order (yann.lecun.com/exdb/mnist).
    Raises `DataError` when the file is absent, not gzip, or not of this type and shape.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{path} not found: install the data with `apt-get install dataset-fashion-mnist`, "
            "or name the folder of the four Fashion-MNIST .gz files with --data"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a readable gzip file: {error}") from None
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    expected = len(header) + int(np.prod(shape))
    if not raw.startswith(header) or len(raw) != expected:
        raise DataError(
            f"{path} is not an IDX file of uint8 {list(shape)}: header {raw[: len(header)].hex()} "
            f"and {len(raw)} bytes, expected {header.hex()} and {expected} bytes"
        )
    return np.frombuffer(raw, np.uint8, offset=len(header)).reshape(shape)


def load_fashion(folder: Path) -> tuple[Images, Images, Images, Images]:
    """Training images [60000,28,28] and labels [60000], test images and labels, all uint8."""
    arrays = []
    for split, count in (("train", 60_000), ("t10k", 10_000)):
        arrays.append(read_idx(folder / f"{split}-images-idx3-ubyte.gz", (count, 28, 28)))
        arrays.append(read_idx(folder / f"{split}-labels-idx1-ubyte.gz", (count,)))
    return arrays[0], arrays[1], arrays[2], arrays[3]


def first_of_each_class(labels: NDArray[np.integer[Any]], per_class: int) -> NDArray[np.intp]:
    """Indices of the first `per_class` samples of each class, class by class."""
    return np.concatenate([np.flatnonzero(labels == c)[:per_class] for c in np.unique(labels)])


def augment(images: Images, rng: np.random.Generator) -> NDArray[np.float32]:
    """Mirror half of `images` [N,28,28] and move each by up to `MAX_SHIFT` pixels; [0, 1] floats.

    Returns float32 [N,28,28,1].
    """
    count, height, width = images.shape
    padded = np.pad(images, ((0, 0), (MAX_SHIFT, MAX_SHIFT), (MAX_SHIFT, MAX_SHIFT)))
    rows = rng.integers(0, 2 * MAX_SHIFT + 1, (count, 1)) + np.arange(height)
    columns = rng.integers(0, 2 * MAX_SHIFT + 1, (count, 1)) + np.arange(width)
    mirrored = rng.random((count, 1)) < 0.5
    columns = np.where(mirrored, columns[:, ::-1], columns)
    moved = padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
    scaled: NDArray[np.float32] = moved[..., None].astype(np.float32) / np.float32(255)
    return scaled


def batches(images: Images, labels: Images, seed: int) -> Iterator[Batch]:
    """Endless shuffled, augmented batches of `BATCH`; the rest of each epoch is left out."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(images))
        for start in range(0, len(images) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            yield augment(images[chosen], rng), labels[chosen]


def build_model(keras: Any, batch: int | None = None) -> Any:
    """The residual network of MLPerf Tiny (resnet8), for 28x28x1, with a depthwise stage.

    `batch` fixes the batch size, which the converter needs for static tensor shapes.
    """
    layers = keras.layers

    def norm(x: Any) -> Any:
        return layers.BatchNormalization(momentum=BATCHNORM_MOMENTUM)(x)

    def conv(x: Any, channels: int, size: int, stride: int = 1) -> Any:
        y = layers.Conv2D(channels, size, strides=stride, padding="same", use_bias=False)(x)
        return norm(y)

    def residual(x: Any, channels: int, stride: int) -> Any:
        y = layers.ReLU()(conv(x, channels, 3, stride))
        y = conv(y, channels, 3)
        shortcut = x if stride == 1 else conv(x, channels, 1, stride)
        return layers.ReLU()(layers.Add()([y, shortcut]))

    inputs = keras.Input((28, 28, 1), batch_size=batch)
    x = layers.ReLU()(conv(inputs, 16, 3))
    x = residual(x, 16, 1)
    x = residual(x, 32, 2)
    x = residual(x, 64, 2)
    x = layers.ReLU()(norm(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
    x = layers.ReLU()(conv(x, 64, 1))
    # GlobalAveragePooling2D would become MEAN, which rounds differently and hides the pool
    x = layers.AveragePooling2D(7)(x)
    # flattened last: before the dense layer the converter would absorb the RESHAPE
    x = layers.Flatten()(layers.Dense(10)(x))
    return keras.Model(inputs, layers.Softmax()(x))


def count_macs(model: Any) -> int:
    """Multiply-accumulates of one inference: convolutions, depthwise convolutions and dense."""
    total = 0
    for layer in model.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None:
            continue
        pixels = int(np.prod(layer.output.shape[1:-1], dtype=np.int64))
        total += pixels * int(np.prod(kernel.shape))
    return total


def warmup_epochs(epochs: int) -> int:
    """Epochs in which the learning rate rises: none in a run of a single epoch."""
    return min(WARMUP_EPOCHS, epochs - 1)


def train(tf: Any, images: Images, labels: Images, epochs: int, seed: int) -> Any:
    """Train on `images` [N,28,28] uint8 and `labels` [N] uint8; returns the Keras model."""
    keras = tf.keras
    steps = len(images) // BATCH

    model = build_model(keras)
    warmup = warmup_epochs(epochs) * steps
    rate = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / 10 if warmup else LEARNING_RATE,
        epochs * steps - warmup,
        warmup_target=LEARNING_RATE if warmup else None,
        warmup_steps=warmup,
    )
    model.compile(
        keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
        keras.losses.SparseCategoricalCrossentropy(),
        metrics=["accuracy"],
    )
    model.fit(batches(images, labels, seed), steps_per_epoch=steps, epochs=epochs, verbose=2)
    return model


def quantize(tf: Any, model: Any, calibration: Images) -> bytes:
    """Convert `model` to an int8 .tflite with batch 1; `calibration` [N,28,28] uint8 sets ranges.

    Weights of convolutions get one scale per output channel. The input is the pixel minus 128:
    scale 1/255 and zero point -128, which holds when some calibration image has a pixel of 255.
    """
    fixed = build_model(tf.keras, batch=1)
    fixed.set_weights(model.get_weights())
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]

    def samples() -> Iterator[list[NDArray[np.float32]]]:
        for image in calibration:
            yield [image[None, ..., None].astype(np.float32) / 255]

    converter.representative_dataset = samples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def reference_classifier(tf: Any, content: bytes) -> tuple[Callable[[Images], int], list[str]]:
    """A function from an image [28,28] uint8 to its int8-predicted class, and the operators.

    It runs TFLite's reference kernels: the default ones requantize in floating point, which no
    hardware does.
    """
    interpreter = tf.lite.Interpreter(
        model_content=content,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero_point = source["quantization"]
    if zero_point != -128 or abs(scale * 255 - 1) > 1e-6:
        raise RuntimeError(f"input scale {scale}, zero point {zero_point}, not 1/255 and -128")

    def classify(image: Images) -> int:
        pixels = (image.astype(np.int16) - 128).astype(np.int8)
        interpreter.set_tensor(source["index"], pixels[None, ..., None])
        interpreter.invoke()
        return int(np.argmax(interpreter.get_tensor(result["index"])))

    return classify, [op["op_name"] for op in interpreter._get_ops_details()]


def accuracy(predicted: Sequence[int] | NDArray[np.integer[Any]], labels: Images) -> float:
    """Share of `predicted` that equals `labels`, in [0, 1], to four decimals."""
    return round(float(np.mean(np.asarray(predicted) == labels)), 4)


def run(tf: Any, data: tuple[Images, Images, Images, Images], args: argparse.Namespace) -> None:
    """Train, convert, measure, and write the three files to `args.out`."""
    train_x, train_y, test_x, test_y = data
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(args.seed)
    tf.config.experimental.enable_op_determinism()

    model = train(tf, train_x, train_y, args.epochs, args.seed)
    scores = model.predict(test_x[..., None].astype(np.float32) / 255, batch_size=500, verbose=0)
    float_accuracy = accuracy(np.argmax(scores, -1), test_y)
    LOG.info("float accuracy %.4f", float_accuracy)

    chosen = np.random.default_rng(args.seed).choice(len(train_x), CALIBRATION_IMAGES, False)
    content = quantize(tf, model, train_x[chosen])
    classify, operators = reference_classifier(tf, content)
    predicted = np.array([classify(image) for image in test_x])
    int8_accuracy = accuracy(predicted, test_y)
    LOG.info("int8 accuracy %.4f, %d bytes", int8_accuracy, len(content))

    shipped = first_of_each_class(test_y, IMAGES_PER_CLASS)
    warmup = warmup_epochs(args.epochs)
    record = {
        "name": "fashion_resnet",
        "data": {
            "name": "Fashion-MNIST (Zalando SE, MIT licence), Debian dataset-fashion-mnist",
            "training_images": len(train_x),
            "held_out_images": len(test_x),
            "selection": "none: the weights of the last epoch",
        },
        "recipe": {
            "seed": args.seed,
            "epochs": args.epochs,
            "batch": BATCH,
            "loss": "sparse categorical cross-entropy",
            "optimizer": f"AdamW, weight decay {WEIGHT_DECAY}",
            "learning_rate": f"{LEARNING_RATE}, {warmup} epoch of warm-up, then cosine to 0",
            "augmentation": f"mirror, shift by up to {MAX_SHIFT} pixels",
            "batchnorm_momentum": BATCHNORM_MOMENTUM,
            "quantization": "post-training int8, convolution weights per output channel",
            "calibration_images": CALIBRATION_IMAGES,
            "threads": THREADS,
        },
        "parameters": int(model.count_params()),
        "macs": count_macs(model),
        "operators": operators,
        "float_accuracy": float_accuracy,
        "int8_accuracy": int8_accuracy,
        "int8_accuracy_measured_with": "tf.lite reference kernels (BUILTIN_REF)",
        "images": {
            "rule": f"the first {IMAGES_PER_CLASS} test images of each class",
            "test_set_index": shipped.tolist(),
            "label": test_y[shipped].tolist(),
            "int8_predicted": predicted[shipped].tolist(),
        },
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": tf.keras.__version__,
            "numpy": np.__version__,
        },
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "fashion_resnet.tflite").write_bytes(content)
    np.savez_compressed(
        args.out / "fashion_images.npz",
        images=test_x[shipped][..., None],
        labels=test_y[shipped],
        class_names=np.array(CLASS_NAMES),
    )
    (args.out / "fashion_resnet.json").write_text(json.dumps(record, indent=2) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code, 2 with one line on stderr when something is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEBIAN_DATA, help="folder of the .gz files")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    if args.epochs < 1 or args.seed < 0:
        parser.error(f"--epochs {args.epochs} --seed {args.seed}: at least 1 and 0 are needed")
    try:
        data = load_fashion(args.data)
    except DataError as error:
        parser.exit(2, f"error: {error}\n")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        tf: Any = importlib.import_module("tensorflow")
    except ImportError as error:
        advice = "pip install 'npu-codesign[train]'"
        parser.exit(2, f"error: training needs TensorFlow ({error}): {advice}\n")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run(tf, data, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
