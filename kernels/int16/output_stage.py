"""The output stage of 16x8 operators: that of int8, at zero point 0."""

import numpy as np

from kernels.output_stage import OutputStage, check_output_stage


def check_output_stage_int16(stage: OutputStage, channels: int) -> OutputStage:
    """As `kernels.output_stage.check_output_stage` for int16, where the zero point has to be 0."""
    if stage.zero_point != 0:
        raise ValueError(f"ofm_zero_point is {stage.zero_point}; allowed for int16 is 0")
    return check_output_stage(stage, channels, np.int16)
