"""A: bird species from greyscale images; the highest of the scores wins."""

from typing import Any

from npu.zoo.layers import classifier, conv, dense, flatten, pool, samples_of
from npu.zoo.system import System, Training


def build() -> Any:
    """Three convolutions with pooling, a hidden layer, a score for each class."""
    x = inputs = samples_of((28, 28, 1))
    for filters in (16, 24, 32):
        x = pool(conv(x, filters))
    return classifier(inputs, dense(flatten(x), 64), 10, dropout=0.2)


SYSTEM = System(
    letter="A",
    slug="a_score_sheet",
    title="score sheet of greyscale pictures",
    published="80 to 90 % (like papers)",
    data="Fashion-MNIST, stand-in for pictures of birds",
    licence="MIT (Zalando SE), see ../LICENSE-fashion-mnist.txt",
    page="""\
The paper: a convolutional network tells bird species from pictures that are made grey; its scores
for all species are sorted into a score sheet, and the highest wins.
The same here: grey pictures, a small convolutional network, a sheet of sorted scores; `npu run
npu/zoo/trained/a_score_sheet_dense.tflite --input npu/zoo/ankle_boot.png` prints it.
Stand-in: no pictures of birds are packaged anywhere, so the network tells ten kinds of clothes
(Fashion-MNIST), which are grey and of one size from the start.
The numbers: accuracy on 10,000 pictures that neither trained nor chose anything. It says how well
such a network does on ten classes of centred objects, not how well it would tell birds apart.
Training takes 12,000 of the 60,000 pictures, to be done in a minute or two.""",
    training=Training(
        build=build,
        source="fashion-mnist",
        shape=(28, 28, 1),
        classes=10,
        samples=12_000,
        epochs=6,
        batch=128,
        optimize_epochs=3,
    ),
)
