"""E: fully connected networks on a microcontroller: neurons against speed and size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from npu.zoo.layers import classifier, dense, flatten, samples_of
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

NEURONS = (4, 8, 16, 32, 64, 128, 256, 512)
EPOCHS = 12
SHAPE = (8, 8, 1)


def build(neurons: int = 64) -> Any:
    """Two hidden layers."""
    inputs = samples_of(SHAPE)
    return classifier(inputs, dense(dense(flatten(inputs), neurons), neurons), 10)


def study(workshop: "Workshop") -> Sequence[Table]:
    """All sizes, in floating point and int8."""
    rows = []
    for neurons in NEURONS:
        model = workshop.train(f"{neurons} neurons", build(neurons), epochs=EPOCHS)
        cost = workshop.cost(f"{neurons} neurons", model)
        wide = len(workshop.float_file(model))
        cpu = workshop.cpu_cycles(model)
        assert cost.float_accuracy is not None
        assert cost.int8_accuracy is not None
        assert cost.cycles is not None
        rows.append(
            [
                f"{neurons} + {neurons}",
                f"{model.count_params():,}",
                f"{cost.float_accuracy:.2%}",
                f"{cost.int8_accuracy:.2%}",
                f"{wide:,}",
                f"{cost.file_bytes:,}",
                f"{wide / cost.file_bytes:.2f}x",
                f"{cpu:,}" if cpu else "-",
                f"{cost.cycles:,}",
                f"{cpu / cost.cycles:.0f}x" if cpu else "-",
            ]
        )
    heading = (
        *("neurons", "parameters", "float", "int8", "bytes, float", "bytes, int8", "smaller"),
        *("CPU cycles, int8", "NPU cycles", "faster"),
    )
    note = (
        "The file's own structure is most of a small network, which is why int8 does not make it 4x"
        " smaller; and the NPU's start is most of its cycles. CPU: optimized kernels on VexRiscv."
    )
    return [Table("Two hidden layers, int8 against float", heading, rows, [note])]


SYSTEM = System(
    letter="E",
    slug="e_neurons",
    title="fully connected networks: neurons against size and speed",
    published="4x smaller only for many neurons",
    data="scikit-learn's digits 8x8, real handwriting",
    licence="CC BY 4.0 (UCI, Alpaydin and Kaynak), in a BSD-3-Clause package",
    page="""\
The paper: fully connected networks on a microcontroller, converted by TensorFlow Lite with and
without int8; how size and speed follow from the number of neurons.
The same here: two hidden layers of 4 to 512 neurons, files of both kinds, measured; cycles on a
RISC-V core with optimized int8 kernels, and on the NPU.
Not the same: the core is not the paper's microcontroller, and the data are not its own: 1,797 real
handwritten digits of 8x8 pixels, a fifth of them held out.
The numbers: `smaller` is the float file's bytes over the int8 file's. It approaches 4x only where
weights are most of the file; with few neurons names, shapes and scales are.
On the NPU few neurons cost little more than starting it: FC layers are bound by loading weights.
The committed network has 64 + 64 neurons.""",
    training=Training(
        build=build,
        source="sklearn-digits",
        shape=SHAPE,
        classes=10,
        epochs=30,
        batch=64,
        rate=3e-3,
        optimize_epochs=15,
    ),
    study=study,
)
