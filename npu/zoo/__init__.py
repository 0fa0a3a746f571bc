"""Networks that the project trained: the one that ships, and the fifteen systems of a survey.

`fashion_resnet.tflite` and its images are read by `npu.shipped`, whose functions are offered here;
the systems are in `npu.zoo.systems`, what they left in `trained/`. See `README.md` beside this.
"""

from npu.shipped import (
    UnknownNetworkError,
    load_images,
    load_record,
    model_path,
    names,
    to_int8,
)

__all__ = [
    "UnknownNetworkError",
    "load_images",
    "load_record",
    "model_path",
    "names",
    "to_int8",
]
