"""M: portable C for microcontrollers: ROM, RAM and cycles of several sets of kernels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.speedup.measure import Setting, measure_rung
from npu.speedup.rungs import CPU_RUNGS
from npu.zoo.layers import classifier, conv, pool, samples_of
from npu.zoo.system import System, Table, Training
from rtl.config import PRESETS

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

SHAPE, CLASSES = (64, 1, 6), 7


def build() -> Any:
    """Three convolutions along time."""
    x = inputs = samples_of(SHAPE)
    for filters in (16, 16, 32):
        x = pool(conv(x, filters, (3, 1)), (2, 1))
    return classifier(inputs, x, CLASSES)


def study(workshop: "Workshop") -> Sequence[Table]:
    """float, int8 and int16 of one network: accuracy and bytes; kernels: ROM, RAM, cycles."""
    from npu.optimize.choices import Quantization
    from npu.optimize.training.fit import evaluate

    model = workshop.train("dense", build())
    wide = workshop.float_file(model)
    kinds = [["float", f"{evaluate(model, workshop.data.test):.2%}", f"{len(wide):,}"]]
    for kind in (Quantization.INT8, Quantization.INT16X8):
        content = workshop.to_file(model, kind=kind)
        kinds.append([str(kind), f"{workshop.int_accuracy(content):.2%}", f"{len(content):,}"])
    graph = read_model_bytes(workshop.to_file(model), "network")
    inputs = load_inputs([], graph)
    rows = []
    for rung in CPU_RUNGS:
        entry = measure_rung(
            graph, inputs, rung, Setting(config=PRESETS["npu256"]), log=workshop.log
        )
        assert entry is not None
        found = entry.measurement
        rows.append(
            [
                rung.name,
                f"{found.code_bytes:,}",
                f"{found.image_bytes:,}",
                f"{found.ram_bytes:,}",
                f"{found.cycles:,}",
            ]
        )
    for name in ("TFLM itself", "qualia-codegen-core"):
        rows.append([name, "-", "-", "-", "-"])
    notes = [
        "Code is that of all operators of the firmware, not only of those that the network needs."
        " `reference` are TFLM's own loops, written again in C.",
        "Dashes: TFLM's C++ needs a C++ library that the bench has not; C of qualia-codegen-core"
        " was not built for the bench. int16 and float do not run on the bench's firmware.",
    ]
    return [
        Table("Kinds of numbers", ("kind", "held out", "bytes of the file"), kinds),
        Table(
            "int8 in portable C on the bench",
            ("kernels and core", "code, bytes", "network, bytes", "RAM, bytes", "cycles"),
            rows,
            notes,
        ),
    ]


SYSTEM = System(
    letter="M",
    slug="m_portable_c",
    title="portable C: int8, int16, float",
    published="abstract only",
    data="series of a smartwatch (seglearn), real",
    licence="BSD-3-Clause (package seglearn, D. Burns); the data's own licence is not stated there",
    page="""\
The paper (MicroAI): a framework trains a network, quantizes it to int8 or int16 or leaves it in
floating point, and emits portable C; compared with TensorFlow Lite for Microcontrollers.
The same here: one network in three kinds of numbers, accuracy and bytes; as int8 it is a C program
on the bench's RISC-V cores: firmware in portable C with its kernels, and the network as an image.
Not the same: the kernels are fixed and the network is data, where MicroAI emits code a network;
TFLM is present by its loops (`reference`), not by its own C++, which the bench cannot build.
Missing: int16 and float on the core, and the successor of MicroAI (`qualia-codegen-core`, which
installs) beside them; their cells are dashes.
The numbers: code is all of the firmware's operators, so it is an upper bound of what a linker would
keep for one network. RAM is tensors, variables and stack.""",
    training=Training(
        build=build,
        source="watch",
        shape=SHAPE,
        classes=CLASSES,
        epochs=10,
        batch=64,
        optimize_epochs=5,
    ),
    study=study,
)
