"""The part of TensorFlow Lite's C interface that a delegate needs, as ctypes.

Declared here from the documented interface (`tensorflow/lite/core/c/common.h`), because no wheel
ships its headers. Only order and size of fields matter; `npu.tflite_delegate.abi_check` compares
them with the interpreter at hand before anything is believed.
"""

import ctypes
from collections.abc import Sequence
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_float,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_uint64,
    c_void_p,
)

OK, ERROR = 0, 1
CUSTOM = 32
"""The operator code of all custom operators."""
CONSTANT = 1
"""The allocation type of tensors that lie in the model's file."""
AFFINE = 1
"""The quantization type of tensors with scales and zero points."""
ALLOW_DYNAMIC_TENSORS = 1
"""The delegate's flag without which a graph with a custom operator, or with a variable, is refused
before the delegate sees it."""


class TfLiteTensor(Structure):
    """A tensor of the interpreter."""

    _fields_ = [
        ("type", c_int),
        ("data", c_void_p),
        ("dims", c_void_p),
        ("scale", c_float),
        ("zero_point", c_int32),
        ("allocation_type", c_int),
        ("bytes", c_size_t),
        ("allocation", c_void_p),
        ("name", c_char_p),
        ("delegate", c_void_p),
        ("buffer_handle", c_int),
        ("data_is_stale", c_bool),
        ("is_variable", c_bool),
        ("quantization_type", c_int),
        ("quantization_params", c_void_p),
        ("sparsity", c_void_p),
        ("dims_signature", c_void_p),
    ]


class TfLiteAffineQuantization(Structure):
    """Scales and zero points, of `scale` elements along a dimension."""

    _fields_ = [("scale", c_void_p), ("zero_point", c_void_p), ("quantized_dimension", c_int32)]


class TfLiteNode(Structure):
    """An operator of the interpreter's graph."""

    _fields_ = [
        ("inputs", c_void_p),
        ("outputs", c_void_p),
        ("intermediates", c_void_p),
        ("temporaries", c_void_p),
        ("user_data", c_void_p),
        ("builtin_data", c_void_p),
        ("custom_initial_data", c_void_p),
        ("custom_initial_data_size", c_int),
        ("delegate", c_void_p),
        ("might_have_side_effect", c_bool),
    ]


class TfLiteDelegateParams(Structure):
    """What the kernel of a delegate is made from."""

    _fields_ = [
        ("delegate", c_void_p),
        ("nodes_to_replace", c_void_p),
        ("input_tensors", c_void_p),
        ("output_tensors", c_void_p),
    ]


INIT = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_size_t)
FREE = CFUNCTYPE(None, c_void_p, c_void_p)
NODE_FUNCTION = CFUNCTYPE(c_int, c_void_p, c_void_p)


class TfLiteRegistration(Structure):
    """A kernel. It is passed by value: the zeros behind it are for fields of later versions."""

    _fields_ = [
        ("init", INIT),
        ("free", FREE),
        ("prepare", NODE_FUNCTION),
        ("invoke", NODE_FUNCTION),
        ("profiling_string", c_void_p),
        ("builtin_code", c_int32),
        ("custom_name", c_char_p),
        ("version", c_int),
        ("registration_external", c_void_p),
        ("async_kernel", c_void_p),
        ("inplace_operator", c_uint64),
        ("later_versions", c_uint64 * 4),
    ]


GET_EXECUTION_PLAN = CFUNCTYPE(c_int, c_void_p, POINTER(c_void_p))
GET_NODE_AND_REGISTRATION = CFUNCTYPE(c_int, c_void_p, c_int, POINTER(c_void_p), POINTER(c_void_p))
REPLACE_NODE_SUBSETS = CFUNCTYPE(c_int, c_void_p, TfLiteRegistration, c_void_p, c_void_p)
REPORT_ERROR = CFUNCTYPE(None, c_void_p, c_char_p)
RESIZE_TENSOR = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)


class TfLiteContext(Structure):
    """The interpreter as a delegate sees it, up to the last member that is used."""

    _fields_ = [
        ("tensors_size", c_size_t),
        ("GetExecutionPlan", GET_EXECUTION_PLAN),
        ("tensors", c_void_p),
        ("impl_", c_void_p),
        ("ResizeTensor", RESIZE_TENSOR),
        ("ReportError", REPORT_ERROR),
        ("AddTensors", c_void_p),
        ("GetNodeAndRegistration", GET_NODE_AND_REGISTRATION),
        ("ReplaceNodeSubsetsWithDelegateKernels", REPLACE_NODE_SUBSETS),
    ]


DELEGATE_PREPARE = CFUNCTYPE(c_int, c_void_p, c_void_p)


class TfLiteDelegate(Structure):
    """A delegate."""

    _fields_ = [
        ("data_", c_void_p),
        ("Prepare", DELEGATE_PREPARE),
        ("CopyFromBufferHandle", c_void_p),
        ("CopyToBufferHandle", c_void_p),
        ("FreeBufferHandle", c_void_p),
        ("flags", c_int64),
        ("opaque_delegate_builder", c_void_p),
    ]


TENSOR_BYTES = ctypes.sizeof(TfLiteTensor)

_libc = ctypes.CDLL(None)
_libc.malloc.restype = c_void_p
_libc.malloc.argtypes = [c_size_t]


def read_int_array(address: int | None) -> tuple[int, ...]:
    """The elements of a `TfLiteIntArray`; empty where there is none."""
    if not address:
        return ()
    count = c_int.from_address(address).value
    return tuple((c_int * count).from_address(address + ctypes.sizeof(c_int)))


def make_int_array(values: Sequence[int]) -> "ctypes.Array[c_int]":
    """A `TfLiteIntArray` that Python owns."""
    return (c_int * (len(values) + 1))(len(values), *values)


def give_int_array(values: Sequence[int]) -> int:
    """The address of a `TfLiteIntArray` that the interpreter will own and free."""
    array = make_int_array(values)
    address = _libc.malloc(ctypes.sizeof(array))
    if not address:
        raise MemoryError("no memory for a list of integers")
    ctypes.memmove(address, array, ctypes.sizeof(array))
    return int(address)


def tensor_at(context: TfLiteContext, index: int) -> TfLiteTensor:
    """Tensor number `index`: a view of the interpreter's own."""
    return TfLiteTensor.from_address(context.tensors + index * TENSOR_BYTES)


def node_at(context: TfLiteContext, index: int) -> tuple[TfLiteNode, TfLiteRegistration]:
    """Node number `index` and its kernel: views of the interpreter's own.

    Raises `LookupError` when the interpreter has none.
    """
    node, registration = c_void_p(), c_void_p()
    status = context.GetNodeAndRegistration(
        ctypes.addressof(context), index, ctypes.byref(node), ctypes.byref(registration)
    )
    if status != OK or not node.value or not registration.value:
        raise LookupError(f"the interpreter has no node {index}")
    return TfLiteNode.from_address(node.value), TfLiteRegistration.from_address(registration.value)
