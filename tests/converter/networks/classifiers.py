"""Image classifiers by the names that publications give them."""

from typing import Any

import keras
from keras import layers

from tests.converter.networks.layers import (
    classes,
    conv_bn,
    depthwise_bn,
    picture,
    squeeze_excite,
)


def mobilenet_v1(batch: int | None) -> Any:
    """MobileNet, a quarter of the width, as Keras builds it."""
    return keras.applications.MobileNet(
        input_tensor=picture(batch, 96), alpha=0.25, weights=None, classes=10
    )


def mobilenet_v2(batch: int | None) -> Any:
    """MobileNetV2, 0.35 of the width."""
    return keras.applications.MobileNetV2(
        input_tensor=picture(batch, 96), alpha=0.35, weights=None, classes=10
    )


def mobilenet_v3_small(batch: int | None) -> Any:
    """MobileNetV3 small: hard swish, squeeze-and-excite, kernels of 5x5."""
    return keras.applications.MobileNetV3Small(
        input_tensor=picture(batch, 96), alpha=0.75, weights=None, classes=10
    )


def efficientnet_lite(batch: int | None) -> Any:
    """Inverted residuals with swish and squeeze-and-excite."""
    x = entry = picture(batch, 48)
    x = conv_bn(x, 16, stride=2, activation="silu")
    for channels, stride in ((16, 1), (24, 2), (24, 1), (40, 2), (40, 1)):
        before, width = x, 4 * x.shape[-1]
        x = conv_bn(x, width, size=1, activation="silu")
        x = depthwise_bn(x, stride=stride, activation="silu")
        x = squeeze_excite(x, width, width // 16)
        x = conv_bn(x, channels, size=1, activation="linear")
        if before.shape == x.shape:
            x = layers.Add()([x, before])
    return keras.Model(entry, classes(x))


def densenet(batch: int | None) -> Any:
    """Dense blocks: each layer sees all before it."""
    x = entry = picture(batch, 32)
    x = conv_bn(x, 16)
    for block in range(3):
        for _ in range(4):
            grown = layers.Activation("relu")(layers.BatchNormalization()(x))
            grown = layers.Conv2D(12, 3, padding="same")(grown)
            x = layers.Concatenate()([x, grown])
        if block < 2:
            x = layers.AveragePooling2D(2)(conv_bn(x, x.shape[-1] // 2, size=1))
    return keras.Model(entry, classes(x))


def inception(batch: int | None) -> Any:
    """Branches of 1x1, 3x3, 5x5 and pooling, concatenated."""
    x = entry = picture(batch, 32)
    x = conv_bn(x, 16, stride=2)
    for width in (8, 12):
        pooled = layers.MaxPooling2D(3, strides=1, padding="same")(x)
        branches = [
            conv_bn(x, width, size=1),
            conv_bn(conv_bn(x, width, size=1), 2 * width, size=3),
            conv_bn(conv_bn(x, width // 2, size=1), width, size=5),
            conv_bn(pooled, width, size=1),
        ]
        x = layers.MaxPooling2D()(layers.Concatenate()(branches))
    return keras.Model(entry, classes(layers.Dropout(0.2)(x)))


def resnet50(batch: int | None) -> Any:
    """ResNet-50 at 224 x 224."""
    return keras.applications.ResNet50(input_tensor=picture(batch, 224), weights=None, classes=100)


def squeezenet(batch: int | None) -> Any:
    """Fire modules: a squeeze of 1x1, then 1x1 and 3x3 side by side."""
    x = entry = picture(batch, 48)
    x = layers.MaxPooling2D(3, 2)(layers.Conv2D(32, 3, 2, activation="relu")(x))
    for squeeze, expand in ((8, 32), (16, 48)):
        x = layers.Conv2D(squeeze, 1, activation="relu")(x)
        small = layers.Conv2D(expand, 1, activation="relu")(x)
        large = layers.Conv2D(expand, 3, padding="same", activation="relu")(x)
        x = layers.Concatenate()([small, large])
    x = layers.Conv2D(10, 1, activation="relu")(layers.Dropout(0.5)(x))
    return keras.Model(entry, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))


def shufflenet(batch: int | None) -> Any:
    """Grouped convolutions with channels shuffled between the groups."""
    x = entry = picture(batch, 32)
    x = conv_bn(x, 24, stride=2)
    for _ in range(2):
        before = x
        x = layers.Conv2D(24, 1, groups=3, activation="relu")(x)
        _, height, width, channels = x.shape
        x = layers.Reshape((height, width, 3, channels // 3))(x)
        x = layers.Permute((1, 2, 4, 3))(x)
        x = layers.Reshape((height, width, channels))(x)
        x = layers.DepthwiseConv2D(3, padding="same")(x)
        x = layers.Conv2D(24, 1, groups=3)(x)
        x = layers.ReLU()(layers.Add()([before, x]))
    return keras.Model(entry, classes(x))


NETWORKS = {
    build.__name__: build
    for build in (
        mobilenet_v1,
        mobilenet_v2,
        mobilenet_v3_small,
        efficientnet_lite,
        densenet,
        inception,
        resnet50,
        squeezenet,
        shufflenet,
    )
}
