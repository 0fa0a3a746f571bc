"""Executors of operators with a state of their own: SVDF and UNIDIRECTIONAL_SEQUENCE_LSTM."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels import quantization as formulas
from kernels.lstm import GATES, lstm, lstm_parameters
from kernels.svdf import svdf
from npu.model.graph import Graph, Operator
from npu.model.options import LstmOptions, SvdfOptions
from npu.reference.executors.common import (
    Context,
    TypedExecutor,
    input_quantization,
    operand,
    output_quantization,
)

# positions of the LSTM's inputs: weights and biases of each gate follow one another
LSTM_INPUT_WEIGHTS, LSTM_HIDDEN_WEIGHTS, LSTM_BIAS = 1, 5, 12
LSTM_HIDDEN, LSTM_CELL = 18, 19
SVDF_STATE = 4


def _svdf(graph: Graph, op: Operator, context: Context) -> NDArray[np.int8]:
    ifm_scale, ifm_zero_point = input_quantization(graph, op, 0)
    feature_scale, _ = input_quantization(graph, op, 1)
    time_scale, _ = input_quantization(graph, op, 2)
    state_scale, state_zero_point = input_quantization(graph, op, SVDF_STATE)
    ofm_scale, ofm_zero_point = output_quantization(graph, op)
    memory = op.inputs[SVDF_STATE]
    ofm, following = svdf(
        operand(graph, op, 0, context),
        context.state.tensor(graph, memory),
        operand(graph, op, 1, context),
        operand(graph, op, 2, context),
        operand(graph, op, 3, context),
        ifm_zero_point=ifm_zero_point,
        state_zero_point=state_zero_point,
        ofm_zero_point=ofm_zero_point,
        parameters=formulas.svdf_parameters(
            op.options_as(SvdfOptions).rank,
            ifm_scale=ifm_scale,
            feature_scale=feature_scale,
            state_scale=state_scale,
            time_scale=time_scale,
            ofm_scale=ofm_scale,
        ),
        rounding=context.rounding,
    )
    context.state.set_tensor(graph, memory, following)
    return ofm


def _lstm(graph: Graph, op: Operator, context: Context) -> NDArray[Any]:
    options = op.options_as(LstmOptions)
    ifm_scale, ifm_zero_point = input_quantization(graph, op, 0)
    hidden_scale, hidden_zero_point = input_quantization(graph, op, LSTM_HIDDEN)
    cell_scale, _ = input_quantization(graph, op, LSTM_CELL)
    hidden, cell = op.inputs[LSTM_HIDDEN], op.inputs[LSTM_CELL]
    ofm, next_hidden, next_cell = lstm(
        operand(graph, op, 0, context),
        context.state.tensor(graph, hidden),
        context.state.tensor(graph, cell),
        *(
            np.stack([operand(graph, op, first + i, context) for i in range(len(GATES))])
            for first in (LSTM_INPUT_WEIGHTS, LSTM_HIDDEN_WEIGHTS, LSTM_BIAS)
        ),
        ifm_zero_point=ifm_zero_point,
        hidden_zero_point=hidden_zero_point,
        parameters=lstm_parameters(
            ifm_scale=ifm_scale,
            hidden_scale=hidden_scale,
            cell_scale=cell_scale,
            input_weight_scales=_weight_scales(graph, op, LSTM_INPUT_WEIGHTS),
            hidden_weight_scales=_weight_scales(graph, op, LSTM_HIDDEN_WEIGHTS),
            cell_clip=options.cell_clip,
        ),
        time_major=options.time_major,
        rounding=context.rounding,
    )
    context.state.set_tensor(graph, hidden, next_hidden)
    context.state.set_tensor(graph, cell, next_cell)
    return ofm


def _weight_scales(graph: Graph, op: Operator, first: int) -> tuple[float, ...]:
    found = []
    for position in range(first, first + len(GATES)):
        scale, zero_point = input_quantization(graph, op, position)
        if zero_point != 0:
            raise ValueError(f"the weights at input {position} have a zero point; allowed is 0")
        found.append(scale)
    return tuple(found)


EXECUTORS = {
    "SVDF": TypedExecutor(_svdf, ("int8",)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": TypedExecutor(_lstm, ("int8", "int16")),
}
"""The kernels of operators with a state."""
