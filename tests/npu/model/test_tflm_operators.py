"""The list of operators that TFLM registers is the pinned wheel's own."""

import os
import tempfile

import flatbuffers  # type: ignore[import-untyped]
from ai_edge_litert import schema_py_generated as schema
from tflite_micro import runtime

from npu.model.schema import OPERATOR_NAMES
from npu.model.tflm_operators import REGISTERED

# an operator that TFLM does not know: it ends the search before anything is prepared
STOP = "CONV_3D"
CUSTOM = schema.BuiltinOperator.CUSTOM


def knows(code: int, custom: str | None = None) -> bool:
    """Whether TFLM finds the operator: whether it is the one behind it that it complains about."""
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes = []
    for each, name in ((code, custom), (getattr(schema.BuiltinOperator, STOP), None)):
        packed = schema.OperatorCodeT()
        packed.builtinCode, packed.deprecatedBuiltinCode = each, min(each, 127)
        packed.customCode, packed.version = name, 1
        model.operatorCodes.append(packed)
    tensor = schema.TensorT()
    tensor.shape, tensor.name = [1], "x"
    subgraph = schema.SubGraphT()
    subgraph.tensors, subgraph.inputs, subgraph.outputs = [tensor], [0], [0]
    subgraph.operators = []
    for position in range(2):
        op = schema.OperatorT()
        op.opcodeIndex, op.inputs, op.outputs = position, [0], [0]
        if code == schema.BuiltinOperator.VAR_HANDLE and position == 0:
            # the wheel counts variables before it looks for operators
            op.builtinOptionsType = schema.BuiltinOptions.VarHandleOptions
            op.builtinOptions = schema.VarHandleOptionsT()
            op.builtinOptions.sharedName = "x"
        subgraph.operators.append(op)
    model.subgraphs, model.buffers = [subgraph], [schema.BufferT()]
    builder = flatbuffers.Builder(1 << 10)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return f"'{STOP}'" in complaint(bytes(builder.Output()))


def complaint(model: bytes) -> str:
    """What TFLM writes to file descriptor 2 when it refuses `model`."""
    with tempfile.TemporaryFile() as sink:
        saved = os.dup(2)
        os.dup2(sink.fileno(), 2)
        try:
            runtime.Interpreter.from_bytes(model, arena_size=1 << 16)
        except RuntimeError:
            pass
        else:
            raise AssertionError("TFLM has taken an operator that it does not know")
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        sink.seek(0)
        return sink.read().decode()


def test_the_list_is_that_of_the_wheel() -> None:
    names = {code: name for code, name in OPERATOR_NAMES.items() if name not in (STOP, "CUSTOM")}
    found = {name for code, name in names.items() if knows(code)}
    customs = {kind for kind in REGISTERED if kind.startswith("CUSTOM:")}
    assert found == REGISTERED - customs
    for kind in customs:
        assert knows(CUSTOM, kind.removeprefix("CUSTOM:")), kind
    assert not knows(CUSTOM, "no such operator")
