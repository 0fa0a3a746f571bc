"""Caffe's layers as Keras ones, against numpy."""

from typing import Any

import numpy as np
import pytest

from npu.errors import OptimizeError
from npu.zoo.caffe import EPSILON, build, parse

HEAD = 'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }'
NET = (
    HEAD
    + """
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" }
layer { name: "pool" type: "Pooling" bottom: "bn" top: "pool"
  pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "conv" type: "Convolution" bottom: "pool" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 } }
layer { name: "norm" type: "Normalize" bottom: "conv" top: "norm" }
layer { name: "mbox_loc" type: "Flatten" bottom: "norm" top: "mbox_loc" }
layer { name: "mbox_conf" type: "Flatten" bottom: "conv" top: "mbox_conf" }
"""
)


def blobs_of_net() -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return np.asarray(rng.random(shape), np.float32) + np.float32(0.5)

    return {
        "bn": [draw(3, 1), draw(3, 1), np.full((1, 1), 2.0, np.float32)],
        "scale": [draw(3, 1), draw(3, 1) + 5],
        "conv": [draw(4, 3, 3, 3) - 1, draw(4, 1)],
        "norm": [draw(4, 1)],
    }


def test_layers_are_those_of_caffe() -> None:
    blobs = blobs_of_net()
    model = build(parse(NET), lambda name: blobs.get(name, []))
    x = np.random.default_rng(1).random((1, 8, 8, 3)).astype(np.float32)
    offsets, scores = (np.asarray(each) for each in model(x))
    mean, variance = (each.ravel() / 2 for each in blobs["bn"][:2])
    gamma, beta = (each.ravel() for each in blobs["scale"])
    y = (x[0] - mean) / np.sqrt(variance + EPSILON) * gamma + beta
    # windows of 3 at 0, 2, 4 and 6, the last one cut off
    pooled = np.array(
        [[y[i : i + 3, j : j + 3].max((0, 1)) for j in range(0, 7, 2)] for i in range(0, 7, 2)]
    )
    padded = np.pad(pooled, ((1, 1), (1, 1), (0, 0)))
    kernel, bias = blobs["conv"]
    conv = np.array(
        [
            [
                np.einsum("yxc,ocyx->o", padded[i : i + 3, j : j + 3], kernel) + bias.ravel()
                for j in (0, 2)
            ]
            for i in (0, 2)
        ]
    )
    norm = conv / np.sqrt((conv**2).sum(-1, keepdims=True) + EPSILON) * blobs["norm"][0].ravel()
    assert offsets[0] == pytest.approx(norm.reshape(-1, 4), abs=1e-4)
    assert scores[0] == pytest.approx(conv.reshape(-1, 2), abs=1e-4)


def test_unknown_layer_is_refused() -> None:
    text = HEAD + 'layer { name: "a" type: "Crop" bottom: "data" top: "a" }'
    with pytest.raises(OptimizeError, match="Caffe's layer 'a' is a Crop, which is not read here"):
        build(parse(text), lambda name: [])
