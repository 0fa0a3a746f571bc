"""I: LeNet-5, AlexNet, GoogLeNet: the same accuracy from fewer parameters."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from npu.zoo.layers import classifier, conv, dense, flatten, inception, pool, samples_of
from npu.zoo.system import System, Table, Training

if TYPE_CHECKING:
    from npu.zoo.workshop import Workshop

SHAPE = (28, 28, 1)


def lenet(width: float = 1.0) -> Any:
    """LeNet-5 with ReLU and max pooling (LeCun et al. 1998)."""
    x = inputs = samples_of(SHAPE)
    x = pool(conv(x, round(6 * width), 5, norm=False))
    x = pool(conv(x, round(16 * width), 5, padding="valid", norm=False))
    x = dense(dense(flatten(x), round(120 * width)), round(84 * width))
    return classifier(inputs, x, 10)


def alexnet(width: float = 1.0) -> Any:
    """Large kernels first, three convolutions in a row, two wide hidden layers, dropout."""
    x = inputs = samples_of(SHAPE)
    x = pool(conv(x, round(16 * width), 5, norm=False))
    x = pool(conv(x, round(32 * width), norm=False))
    for filters in (48, 48, 32):
        x = conv(x, round(filters * width), norm=False)
    x = dense(dense(flatten(pool(x)), round(128 * width)), round(128 * width))
    return classifier(inputs, x, 10, dropout=0.4)


def googlenet(width: float = 1.0) -> Any:
    """Inception modules and no hidden layer: maps are averaged."""
    x = inputs = samples_of(SHAPE)
    x = pool(conv(x, round(16 * width)))
    x = pool(inception(x, round(16 * width)))
    x = inception(inception(x, round(24 * width)), round(32 * width))
    return classifier(inputs, x, 10)


FAMILIES: dict[str, tuple[Callable[[float], Any], tuple[float, ...]]] = {
    "LeNet-5": (lenet, (0.5, 1.0, 2.0)),
    "AlexNet style": (alexnet, (0.5, 1.0)),
    "GoogLeNet style": (googlenet, (0.5, 1.0)),
}


def study(workshop: "Workshop") -> Sequence[Table]:
    """Every family in several widths."""
    rows = []
    for name, (family, widths) in FAMILIES.items():
        for width in widths:
            model = workshop.train(f"{name} {width:g}", family(width), epochs=4)
            cost = workshop.cost(name, model)
            rows.append(
                [
                    f"{name}, width {width:g}",
                    f"{cost.float_accuracy:.2%}",
                    f"{cost.int8_accuracy:.2%}",
                    f"{model.count_params():,}",
                    f"{cost.macs:,}",
                    f"{cost.cycles:,}",
                ]
            )
    heading = ("network", "float", "int8", "parameters", "MACs", "NPU cycles")
    note = "Four epochs each on the same 8,000 pictures; one seed."
    return [Table("Families: accuracy against parameters, MACs and cycles", heading, rows, [note])]


SYSTEM = System(
    letter="I",
    slug="i_families",
    title="LeNet-5, AlexNet, GoogLeNet: accuracy against parameters",
    published="none found",
    data="Fashion-MNIST, stand-in for the survey's pictures",
    licence="MIT (Zalando SE), see ../LICENSE-fashion-mnist.txt",
    page="""\
The survey: from LeNet-5 over AlexNet to GoogLeNet networks need fewer parameters for the same
accuracy, which is what makes them fit small devices.
The same here: LeNet-5 as published, and networks in the style of the other two at the size of the
pictures: AlexNet's large first kernels, three convolutions in a row and two hidden layers with
dropout; GoogLeNet's modules of three kernel sizes and an average instead of hidden layers.
Stand-in: 28x28 clothes instead of ImageNet, on which the originals were trained at 224x224.
The numbers: each family in several widths, the same data, epochs and rate. Read a line of the table
against the one with about its accuracy: fewer parameters are more MACs, since GoogLeNet's weights
are used at every place of a map; what counts on the NPU are MACs and the words they are in.
The committed network is the GoogLeNet style of width 0.5.""",
    training=Training(
        build=lambda: googlenet(0.5),
        source="fashion-mnist",
        shape=SHAPE,
        classes=10,
        samples=8_000,
        epochs=8,
        batch=128,
        rate=3e-3,
        optimize_epochs=4,
    ),
    study=study,
)
