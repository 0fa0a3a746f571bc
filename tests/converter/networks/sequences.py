"""Networks on sequences: convolutional, recurrent, attention, and mixers."""

from typing import Any

import keras
from keras import layers

from tests.converter.networks.layers import picture, series


def temporal_convolutions(batch: int | None) -> Any:
    """Causal convolutions of dilation 1, 2, 4, 8 with residuals."""
    x = entry = series(batch, 32, 8)
    x = layers.Conv1D(16, 1)(x)
    for dilation in (1, 2, 4, 8):
        y = layers.Conv1D(16, 3, padding="causal", dilation_rate=dilation, activation="relu")(x)
        x = layers.Add()([x, layers.Conv1D(16, 1)(y)])
    return keras.Model(entry, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def conv1d(batch: int | None) -> Any:
    """Convolutions and pooling along time."""
    x = entry = series(batch, 64, 3)
    for width in (8, 16):
        x = layers.MaxPooling1D()(layers.Conv1D(width, 5, activation="relu")(x))
    return keras.Model(entry, layers.Dense(6, activation="softmax")(layers.Flatten()(x)))


def separable(batch: int | None) -> Any:
    """Separable convolutions, of images and along time."""
    x = entry = picture(batch, 24)
    x = layers.SeparableConv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Reshape((144, 16))(x)
    x = layers.SeparableConv1D(16, 5, activation="relu")(x)
    return keras.Model(entry, layers.Dense(5)(layers.GlobalMaxPooling1D()(x)))


def lstm_fused(batch: int | None) -> Any:
    """LSTM of the Keras before 3, which the converter makes one operator of."""
    import tf_keras

    x = entry = tf_keras.Input((12, 8), batch_size=batch)
    return tf_keras.Model(entry, tf_keras.layers.Dense(4)(tf_keras.layers.LSTM(16)(x)))


def lstm(batch: int | None) -> Any:
    """LSTM as a loop."""
    x = entry = series(batch, 12, 8)
    return keras.Model(entry, layers.Dense(4)(layers.LSTM(16)(x)))


def lstm_unrolled(batch: int | None) -> Any:
    """LSTM written out step by step."""
    x = entry = series(batch, 5, 8)
    return keras.Model(entry, layers.Dense(4)(layers.LSTM(12, unroll=True)(x)))


def gru(batch: int | None) -> Any:
    """GRU as a loop."""
    x = entry = series(batch, 6, 8)
    return keras.Model(entry, layers.Dense(4)(layers.GRU(12)(x)))


def gru_unrolled(batch: int | None) -> Any:
    """GRU written out step by step."""
    x = entry = series(batch, 5, 8)
    return keras.Model(entry, layers.Dense(4)(layers.GRU(12, unroll=True)(x)))


def bidirectional(batch: int | None) -> Any:
    """LSTM in both directions, unrolled."""
    x = entry = series(batch, 5, 6)
    x = layers.Bidirectional(layers.LSTM(8, unroll=True))(x)
    return keras.Model(entry, layers.Dense(3)(x))


def transformer(batch: int | None) -> Any:
    """An encoder: attention of two heads and a feed-forward part, each with normalization."""
    x = entry = series(batch, 16, 24)
    attended = layers.MultiHeadAttention(2, 12)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attended]))
    wide = layers.Dense(24)(layers.Dense(48, activation="gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, wide]))
    return keras.Model(entry, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def transformer_relu(batch: int | None) -> Any:
    """The same with ReLU, whose every operator TFLM has."""
    x = entry = series(batch, 16, 24)
    attended = layers.MultiHeadAttention(2, 12)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attended]))
    wide = layers.Dense(24)(layers.Dense(48, activation="relu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, wide]))
    return keras.Model(entry, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


def mlp_mixer(batch: int | None) -> Any:
    """Dense layers over patches and over channels, in turn."""
    x = entry = picture(batch, 16)
    x = layers.Reshape((16, 32))(layers.Conv2D(32, 4, 4)(x))
    for _ in range(2):
        mixed = layers.Permute((2, 1))(layers.LayerNormalization()(x))
        mixed = layers.Dense(16)(layers.Dense(32, activation="relu")(mixed))
        x = layers.Add()([x, layers.Permute((2, 1))(mixed)])
        wide = layers.Dense(64, activation="relu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(32)(wide)])
    return keras.Model(entry, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))


def dense_3d(batch: int | None) -> Any:
    """A dense layer for each step of a sequence."""
    x = entry = series(batch, 10, 12)
    x = layers.Dense(8)(layers.Dense(20, activation="relu")(x))
    return keras.Model(entry, x)


def embedding(batch: int | None) -> Any:
    """Words by number, embedded."""
    words = keras.Input((12,), batch_size=batch, dtype="int32")
    x = layers.Conv1D(8, 3, activation="relu")(layers.Embedding(50, 16)(words))
    return keras.Model(words, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


NETWORKS = {
    build.__name__: build
    for build in (
        temporal_convolutions,
        conv1d,
        separable,
        lstm_fused,
        lstm,
        lstm_unrolled,
        gru,
        gru_unrolled,
        bidirectional,
        transformer,
        transformer_relu,
        mlp_mixer,
        dense_3d,
        embedding,
    )
}
