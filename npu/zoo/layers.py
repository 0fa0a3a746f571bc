"""What the systems' networks are built of. TensorFlow is imported when a network is built."""

from typing import Any

MOMENTUM = 0.9
"""Of batch normalization: Keras' 0.99 follows too slowly where an epoch has few steps."""


def conv(
    x: Any,
    filters: int,
    kernel: int | tuple[int, int] = 3,
    *,
    strides: int | tuple[int, int] = 1,
    padding: str = "same",
    norm: bool = True,
    activation: bool = True,
) -> Any:
    """A convolution with batch normalization and ReLU."""
    from keras import layers

    x = layers.Conv2D(filters, kernel, strides=strides, padding=padding, use_bias=not norm)(x)
    if norm:
        x = layers.BatchNormalization(momentum=MOMENTUM)(x)
    return layers.ReLU()(x) if activation else x


def depthwise(x: Any, *, strides: int = 1) -> Any:
    """A depthwise convolution 3x3 with batch normalization and ReLU."""
    from keras import layers

    x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=MOMENTUM)(x))


def residual(x: Any, filters: int, *, strides: int = 1) -> Any:
    """Two convolutions 3x3 beside a shortcut, as ResNet has them (He et al. 2016)."""
    from keras import layers

    y = conv(conv(x, filters, strides=strides), filters, activation=False)
    if strides != 1 or x.shape[-1] != filters:
        x = conv(x, filters, 1, strides=strides, activation=False)
    return layers.ReLU()(layers.Add()([x, y]))


def inception(x: Any, filters: int) -> Any:
    """Kernels of 1, 3 and 5 side by side, as GoogLeNet has them (Szegedy et al. 2015)."""
    from keras import layers

    branches = [
        conv(x, filters, 1),
        conv(conv(x, filters // 2, 1), filters),
        conv(conv(x, filters // 4, 1), filters // 2, 5),
    ]
    return layers.Concatenate()(branches)


def dense(x: Any, units: int) -> Any:
    """A fully connected layer with ReLU."""
    from keras import layers

    return layers.Dense(units, activation="relu")(x)


def pool(x: Any, size: int | tuple[int, int] = 2) -> Any:
    """The greatest of each window; windows do not overlap."""
    from keras import layers

    return layers.MaxPooling2D(size)(x)


def classifier(inputs: Any, x: Any, classes: int, *, dropout: float = 0.0) -> Any:
    """The model that ends with scores, without softmax; maps are averaged."""
    import keras

    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D()(x)
    if dropout:
        x = keras.layers.Dropout(dropout)(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def samples_of(shape: tuple[int, ...]) -> Any:
    """The input of a network."""
    import keras

    return keras.Input(shape)


def flatten(x: Any) -> Any:
    """A map as one row."""
    from keras import layers

    return layers.Flatten()(x)
