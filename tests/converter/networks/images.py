"""Networks from images to images, maps and boxes."""

from typing import Any

import keras
from keras import layers

from tests.converter.networks.layers import conv_bn, depthwise_bn, picture


def unet(batch: int | None) -> Any:
    """Down and up again, with a skip at each scale."""
    x = entry = picture(batch, 32)
    skips = []
    for width in (8, 16):
        x = conv_bn(x, width)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = conv_bn(x, 32)
    for width, skip in ((16, skips[1]), (8, skips[0])):
        x = layers.Conv2DTranspose(width, 2, strides=2, padding="same")(x)
        x = conv_bn(layers.Concatenate()([x, skip]), width)
    return keras.Model(entry, layers.Conv2D(1, 1, activation="sigmoid")(x))


def autoencoder(batch: int | None) -> Any:
    """Convolutions of stride 2, and transposed ones back."""
    x = entry = picture(batch, 32, 1)
    for width in (8, 16):
        x = layers.Conv2D(width, 3, 2, padding="same", activation="relu")(x)
    for width in (16, 8):
        x = layers.Conv2DTranspose(width, 3, 2, padding="same", activation="relu")(x)
    return keras.Model(entry, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(x))


def aspp(batch: int | None) -> Any:
    """Atrous spatial pyramid pooling: dilated branches, and the image's mean."""
    x = entry = picture(batch, 32)
    x = conv_bn(x, 16, stride=2)
    branches = [layers.Conv2D(8, 1, activation="relu")(x)]
    branches += [
        layers.Conv2D(8, 3, padding="same", dilation_rate=rate, activation="relu")(x)
        for rate in (2, 4, 6)
    ]
    mean = layers.GlobalAveragePooling2D(keepdims=True)(x)
    mean = layers.Conv2D(8, 1, activation="relu")(mean)
    branches.append(layers.UpSampling2D(x.shape[1], interpolation="bilinear")(mean))
    x = layers.Conv2D(16, 1, activation="relu")(layers.Concatenate()(branches))
    return keras.Model(entry, layers.Conv2D(4, 1)(x))


def ssd_heads(batch: int | None) -> Any:
    """Boxes and classes from maps of two scales."""
    x = entry = picture(batch, 64)
    x = conv_bn(x, 16, stride=2)
    boxes, scores = [], []
    for width in (32, 48):
        x = conv_bn(depthwise_bn(x, stride=2), width, size=1)
        boxes.append(layers.Reshape((-1, 4))(layers.Conv2D(12, 3, padding="same")(x)))
        scores.append(layers.Reshape((-1, 2))(layers.Conv2D(6, 3, padding="same")(x)))
    where = layers.Concatenate(axis=1)(boxes)
    what = layers.Activation("sigmoid")(layers.Concatenate(axis=1)(scores))
    return keras.Model(entry, [where, what])


def upsampling_bilinear(batch: int | None) -> Any:
    """A map enlarged twice by interpolation."""
    x = entry = picture(batch, 16)
    x = layers.UpSampling2D(2, interpolation="bilinear")(conv_bn(x, 8))
    return keras.Model(entry, conv_bn(x, 8))


def upsampling_nearest(batch: int | None) -> Any:
    """A map enlarged twice by repetition."""
    x = entry = picture(batch, 16)
    x = layers.UpSampling2D(2, interpolation="nearest")(conv_bn(x, 8))
    return keras.Model(entry, conv_bn(x, 8))


def asymmetric_padding(batch: int | None) -> Any:
    """Padding that differs on every side, in front of convolutions without any."""
    x = entry = picture(batch, 31)
    x = layers.ZeroPadding2D(((0, 1), (2, 1)))(x)
    x = layers.Conv2D(16, 3, 2, activation="relu")(x)
    x = layers.ZeroPadding2D(((1, 2), (0, 3)))(x)
    x = layers.DepthwiseConv2D(3, 2, activation="relu")(x)
    return keras.Model(entry, layers.Flatten()(layers.Conv2D(4, 1)(x)))


def cropped(batch: int | None) -> Any:
    """A border cut off before and after a convolution."""
    x = entry = picture(batch, 24)
    x = layers.Cropping2D(((2, 1), (1, 2)))(x)
    x = layers.Cropping2D(1)(conv_bn(x, 12))
    return keras.Model(entry, layers.Conv2D(6, 3)(x))


NETWORKS = {
    build.__name__: build
    for build in (
        unet,
        autoencoder,
        aspp,
        ssd_heads,
        upsampling_bilinear,
        upsampling_nearest,
        asymmetric_padding,
        cropped,
    )
}
