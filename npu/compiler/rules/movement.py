"""What the NPU can move: rules like those in `npu.compiler.rules.operators`."""

from npu.compiler.direct.copies import COMMAND_LIMIT, Block, command_count
from npu.compiler.lowering.bilinear import is_interpolated
from npu.compiler.lowering.movement import JOINING_KINDS, joined, moved_input, nearest_steps, taken
from npu.compiler.stream.transfers import STRIDE_LIMIT
from npu.compiler.terms.strided import Strided
from npu.model.graph import Graph, Operator
from npu.model.options import Activation, ConcatenationOptions
from npu.model.quant_params import scale_and_zero_point


def moved_inputs(op: Operator) -> tuple[int, ...]:
    """The tensors that an operator moves."""
    return op.inputs if op.kind in JOINING_KINDS else (op.inputs[moved_input(op)],)


def computed_inputs(graph: Graph, op: Operator) -> bool:
    """what is moved must not be a constant"""
    return not any(graph.tensors[i].is_constant for i in moved_inputs(op))


def size_in_range(graph: Graph, op: Operator) -> bool:
    """tensors that are moved may have up to 16777215 elements"""
    tensors = (*moved_inputs(op), *op.outputs)
    return all(graph.tensors[i].size <= STRIDE_LIMIT for i in tensors)


def one_quantization(graph: Graph, op: Operator) -> bool:
    """all inputs must have the scale and zero point of the output"""
    ofm = scale_and_zero_point(graph.output_tensor(op))
    return all(scale_and_zero_point(graph.tensors[i]) == ofm for i in op.inputs)


def no_activation(graph: Graph, op: Operator) -> bool:
    """CONCATENATION must not have a fused activation"""
    return op.options_as(ConcatenationOptions).activation is Activation.NONE


def evenly_resized(graph: Graph, op: Operator) -> bool:
    """RESIZE_NEAREST_NEIGHBOR must take evenly spaced pixels and repeat all of them alike"""
    return nearest_steps(graph, op) is not None


def repeated_fractions(graph: Graph, op: Operator) -> bool:
    """scales must be 2, 4, or 8 without half-pixel centers, or else repeat weights of 7 bits"""
    return nearest_steps(graph, op) is not None or is_interpolated(graph, op)


def few_copies(graph: Graph, op: Operator) -> bool:
    """pixels that are only repeated must not take more than 2048 commands"""
    return nearest_steps(graph, op) is None or few_commands(graph, op)


def few_commands(graph: Graph, op: Operator) -> bool:
    """the data must not be so scattered that moving it takes more than 2048 commands"""
    blocks = []
    if op.kind in JOINING_KINDS:
        whole = Strided.dense(graph.output_tensor(op).shape)
        for number, tensor in enumerate(op.inputs):
            reads = Strided.dense(graph.tensors[tensor].shape)
            blocks.append(Block(0, 0, reads, whole.apply(joined(graph, op, number))))
    else:
        source = Strided.dense(graph.tensors[op.inputs[moved_input(op)]].shape)
        for number, output in enumerate(op.outputs):
            reads = source.apply(taken(graph, op, number))
            writes = Strided.dense(graph.tensors[output].shape).reshape(*reads.shape)
            blocks.append(Block(0, 0, reads, writes))
    return sum(map(command_count, blocks)) <= COMMAND_LIMIT
