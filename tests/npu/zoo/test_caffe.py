"""Caffe's text, its default boxes, and what becomes of a detector's outputs."""

import numpy as np
import pytest

from npu.errors import OptimizeError
from npu.zoo.caffe import boxes_of, default_boxes, parse, shared

SMALL = """
input: "data"  # the picture
input_shape { dim: 1 dim: 3 dim: 100 dim: 200 }
layer {
  name: "prior" type: "PriorBox" bottom: "x" bottom: "data"
  prior_box_param { min_size: 20.0 max_size: 45 aspect_ratio: 4 flip: true step: 50 }
}
"""


def test_text_is_read() -> None:
    found = parse(SMALL)
    assert found["input"] == ["data"]
    assert found["input_shape"][0]["dim"] == [1, 3, 100, 200]
    layer = found["layer"][0]
    assert layer["bottom"] == ["x", "data"]
    assert layer["prior_box_param"][0]["flip"] == ["true"]


@pytest.mark.parametrize(
    ("text", "message"), [("layer {", "ends inside"), ("a: 1 }", "did not open")]
)
def test_damaged_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(OptimizeError, match=message):
        parse(text)


def test_default_boxes_by_hand() -> None:
    found = default_boxes(parse(SMALL), [(2, 4)])
    # 20, the geometric mean of 20 and 45, and two of area 20 x 20 with sides as 4 to 1
    assert found.shape == (2 * 4 * 4, 4)
    sides = [(20, 20), (30, 30), (40, 10), (10, 40)]
    for box, (width, height) in zip(found[4:8], sides, strict=True):
        assert box == pytest.approx([75 / 200, 25 / 100, width / 200, height / 100])


def test_boxes_of_scores_by_hand() -> None:
    defaults = np.array([[0.5, 0.5, 0.2, 0.4], [0.52, 0.5, 0.2, 0.4], [0.2, 0.2, 0.1, 0.1]])
    offsets = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 5 * np.log(2), 0]])
    scores = np.array([[0, 2.0], [0, 1.0], [0, 0.5]])
    found = boxes_of(offsets, scores, defaults)
    # the second is nearly the first; the third is twice as wide as its default
    assert found.shape == (2, 5)
    assert found[0] == pytest.approx([1 / (1 + np.exp(-2)), 0.42, 0.3, 0.62, 0.7])
    assert found[1] == pytest.approx([1 / (1 + np.exp(-0.5)), 0.1, 0.15, 0.3, 0.25])
    assert len(boxes_of(offsets, scores, defaults, overlap=1.0)) == 3
    assert boxes_of(offsets, scores - [[0, 9]], defaults).shape == (0, 5)


def test_shared_area() -> None:
    one = np.array([0, 0, 2, 2.0])
    assert shared(one, one) == 1
    assert shared(one, np.array([1, 1, 3, 3.0])) == pytest.approx(1 / 7)
    assert shared(one, np.array([2, 0, 3, 2.0])) == 0
