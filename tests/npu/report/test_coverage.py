"""The table of operators says what is true: kernels run, constraints are predicates."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from npu.cli import main
from npu.commands.ops import HEADINGS, NOTE
from npu.compiler.rules.operators import BEYOND, RULES, byte_activations, int8_activations
from npu.model.graph import RESOURCE, Graph, Operator
from npu.model.tflite_reader import read_model_bytes
from npu.model.tflm_operators import REGISTERED
from npu.reference.executors.common import ANYTHING, Context, TypedExecutor
from npu.reference.executors.registry import DATA_OPERANDS, EXECUTORS, find_executor, run_operator
from npu.report.coverage import coverage, grouped_coverage, totals
from tests.kernels.one_operator import Given, Made, one_operator
from tests.npu import operator_models as models
from tests.npu.reference.test_executors import MOVEMENTS, UNARY, svdf
from tests.npu.reference.test_int16 import OPERATORS as INT16
from tests.npu.reference.test_more_operators import MODELS as MORE
from tests.npu.reference.test_state import NETWORKS
from tests.support.operators import elementwise, unary
from tests.support.tflite_builder import ModelBuilder

UNARY_FLOAT = ("CEIL", "COS", "EXP", "FLOOR", "LOG", "NEG", "ROUND", "SIN", "SQRT", "SQUARE")
SAME: dict[str, Any] = {"scale": 0.5, "zero_point": 0}


def others() -> Iterator[bytes]:
    """Models of what the registries of the other tests do not have."""
    rng = np.random.default_rng(0)
    for code in ("PRELU", "MAXIMUM", "MINIMUM", "SUB", "MUL", "ADD"):
        m = ModelBuilder()
        elementwise(m, code, m.input((1, 3, 4, 5), **SAME), m.input((1, 3, 4, 5), **SAME), **SAME)
        yield m.build()
    for code in UNARY:
        m = ModelBuilder()
        options = {"alpha": 0.3} if code == "LEAKY_RELU" else {}
        zero_point = -128 if code == "LOGISTIC" else 0
        unary(m, code, m.input((1, 4), **SAME), scale=0.5, zero_point=zero_point, **options)
        yield m.build()
    for code in ("SQUEEZE", "EXPAND_DIMS"):
        axis = [0] if code == "EXPAND_DIMS" else []
        yield models.movement(code, (1, 4), [(4, 1)], constants=axis)
    for code, table in (
        ("RESIZE_BILINEAR", "ResizeBilinearOptions"),
        ("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions"),
    ):
        yield models.movement(
            code, (1, 2, 3, 4), [(1, 4, 6, 4)], constants=[[4, 6]], options={}, options_type=table
        )
    for code in ("SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN"):
        table = "ReducerOptions"
        yield models.movement(
            code, (2, 3, 4), [(2, 4)], constants=[[1]], options={}, options_type=table
        )
    yield models.batch_matmul(rng, (2, 3), (3, 4))
    yield models.transpose_conv(rng, (1, 3, 3, 2), (4, 3, 3, 2))
    # TFLM has these in float32 only, to which their types are exchanged below
    for code in (*UNARY_FLOAT, "FLOOR_DIV", "FLOOR_MOD"):
        given = Given(np.ones((1, 4), np.int8), 0.5)
        operands = [given] if code in UNARY_FLOAT else [given, given]
        yield one_operator(code, operands, Made((1, 4), np.int8, 0.5))
    m = ModelBuilder()
    y = m.tensor((1, 4), np.int16, scale=2.0**-16, zero_point=-(2**15))
    options = {"beta": 1.0}
    m.operator("SOFTMAX", [m.input((1, 4), **SAME)], [y], options, options_type="SoftmaxOptions")
    yield m.build()
    m = ModelBuilder()
    x = m.input((1, 4, 4, 2), **SAME)
    weights: dict[str, Any] = {
        "weights": rng.integers(-9, 9, (2, 3, 3, 2)).astype(np.int8),
        "weight_scales": 0.1,
    }
    y = m.conv2d(x, bias=None, **weights, **SAME)
    weights["weights"] = weights["weights"][:1]
    y = m.depthwise_conv2d(m.max_pool2d(y, window=(1, 1)), bias=None, **weights, **SAME)
    y = m.average_pool2d(y, window=(1, 1))
    weights["weights"] = np.ones((3, 32), np.int8)
    y = m.fully_connected(m.reshape(y, (1, 32)), bias=None, **weights, **SAME)
    y = m.softmax(m.pad(m.quantize(y, **SAME), [(0, 0), (1, 1)]))
    m.dequantize(y)
    yield m.build()


@cache
def sources() -> dict[str, list[tuple[Graph, Operator]]]:
    """Operators of every kind, in one type or another."""
    found: dict[str, list[tuple[Graph, Operator]]] = {}
    built = [one_operator(*arguments) for arguments in MORE.values()]
    built += [*others(), *MOVEMENTS.values(), svdf()]
    for build in (*INT16.values(), *NETWORKS.values()):
        m = ModelBuilder()
        build(m, np.random.default_rng(0))
        built.append(m.build())
    for model in built:
        graph = read_model_bytes(model, "m")
        for op in graph.operators:
            found.setdefault(op.kind, []).append((graph, op))
    return found


def retyped(graph: Graph, op: Operator, given: str, result: str) -> Graph:
    """`graph` with other types of what `op` computes with and of what it writes."""
    tensors = list(graph.tensors)
    position = DATA_OPERANDS.get(op.kind, 0)
    wanted = dict.fromkeys(op.outputs, result)
    if op.kind == "READ_VARIABLE":
        # what is read is of the type that is assigned
        assigned = [each for each in graph.operators if each.kind == "ASSIGN_VARIABLE"]
        wanted.update(dict.fromkeys((each.inputs[1] for each in assigned), result))
    for i, index in enumerate(op.inputs):
        if i == position or (index >= 0 and tensors[index].data is None):
            wanted[index] = given
    for index, name in wanted.items():
        if tensors[index].dtype != RESOURCE:
            tensors[index] = replace(tensors[index], dtype=np.dtype(name))
    return replace(graph, tensors=tuple(tensors))


def candidates(kind: str, given: str, result: str) -> Iterator[tuple[Graph, Operator]]:
    """Operators of `kind` of these types: as they were built, then with their types exchanged."""
    for exchange in (False, True):
        for graph, op in sources().get(kind, []):
            if exchange and graph.subgraphs:
                continue
            yield (retyped(graph, op, given, result) if exchange else graph), op


def run(graph: Graph, op: Operator) -> list[Any]:
    """The outputs of `op` alone, on small numbers."""
    context = Context({})
    context.state.declare(graph)
    for index in op.present_inputs:
        tensor = graph.tensors[index]
        if tensor.data is None and not tensor.is_variable:
            context.values[index] = np.ones(tensor.shape, tensor.dtype)
    run_operator(graph, op, context)
    return [context.values[index] for index in op.outputs]


SIGNATURES = [
    pytest.param(kind, kernel, given, result, id=f"{kind}-{given}-{result}")
    for kind, kernels in EXECUTORS.items()
    for kernel in kernels
    for given in kernel.inputs
    # control flow has no types of its own, and tests of its own
    if given != ANYTHING
    for result in kernel.outputs or (given,)
]


@pytest.mark.parametrize(("kind", "kernel", "given", "result"), SIGNATURES)
def test_every_listed_kernel_runs(
    kind: str, kernel: TypedExecutor, given: str, result: str
) -> None:
    for graph, op in candidates(kind, given, result):
        if find_executor(graph, op) is kernel and _types(graph, op) == (given, result):
            outputs = run(graph, op)
            shapes = [graph.tensors[i].shape for i in op.outputs]
            assert [value.shape for value in outputs] == shapes
            assert {value.dtype.name for value in outputs} <= {result, "void"}
            return
    pytest.fail("no model has these types")


def _types(graph: Graph, op: Operator) -> tuple[str, str]:
    position = DATA_OPERANDS.get(op.kind, 0)
    given = graph.tensors[op.inputs[position]].type_name if op.inputs else "nothing"
    return given, graph.output_tensor(op).type_name if op.outputs else "nothing"


def test_every_constraint_is_a_predicate_of_its_kind() -> None:
    for one in coverage():
        (kind,) = one.kinds
        predicates = {rule.__name__: rule.__doc__ for rule in RULES.get(kind, ())}
        for constraint in one.constraints:
            assert predicates[constraint.rule] == constraint.text
            assert constraint.text
            assert "\n" not in constraint.text
        assert len(one.constraints) == len(predicates) - bool(predicates)
        assert (one.npu == "int8") == (int8_activations.__name__ in predicates)
        assert ("uint8" in one.npu) == (byte_activations.__name__ in predicates)


def test_what_the_npu_takes_the_kernels_take() -> None:
    assert {*RULES} <= {*EXECUTORS}
    assert {*EXECUTORS} <= {*REGISTERED}
    assert [one.kinds[0] for one in coverage()] == sorted(REGISTERED)


def test_what_the_hardware_cannot_have_the_kernels_have() -> None:
    assert {*BEYOND} <= {*EXECUTORS} - {*RULES}


def test_everything_that_tflm_registers_runs_somewhere() -> None:
    for one in coverage():
        assert one.kernels or one.tflm, one.kinds
    numbers = [int(n) for n in re.findall(r"[0-9]+", totals())]
    assert numbers[0] == len(REGISTERED)
    assert numbers[1] == len(RULES)
    # with SHAPE, which is evaluated
    assert numbers[2] == len(EXECUTORS) + 1
    assert numbers[2] + numbers[3] == numbers[0]


def test_groups_hold_every_kind_once() -> None:
    groups = grouped_coverage()
    assert sorted(kind for group in groups for kind in group.kinds) == sorted(REGISTERED)
    single = {one.kinds[0]: one for one in coverage()}
    for group in groups:
        for kind in group.kinds:
            assert replace(group, kinds=(kind,)) == single[kind]
    assert [bool(g.npu) for g in groups] == sorted((bool(g.npu) for g in groups), reverse=True)


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(["ops", *arguments])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    records = {record["operator"]: record for record in json.loads(printed(capsys, "--json"))}
    assert records["CONV_2D"]["kernels"] == ["int8, int16"]
    assert records["CONV_2D"]["npu"] == "int8"
    text = "weights must be constant int8"
    assert {"rule": "constant_weights", "text": text} in records["CONV_2D"]["constraints"]
    assert records["CAST"] == {
        "operator": "CAST",
        "kernels": [EXECUTORS["CAST"][0].summary()],
        "tflm": "other types",
        "npu": None,
        "constraints": [],
    }


def test_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "--markdown").splitlines()
    assert lines[0] == f"| {' | '.join(HEADINGS)} |"
    assert lines[-1] == f"{totals()} {NOTE}"
    rows = [line.split(" | ") for line in lines[2:-2]]
    assert all(len(row) == len(HEADINGS) for row in rows)
    assert [row for row in rows if "CONV_2D" in row[0] and "weights must be constant" in row[4]]


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys)
    assert all(kind in text.replace("\n", " ") for kind in ("CONV_2D", "SOFTMAX", "VAR_HANDLE"))
    assert max(len(line) for line in text.splitlines()) <= max(120, len(f"{totals()} {NOTE}"))


def test_one_format_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["ops", "--json", "--markdown"])
    assert caught.value.code == 2
    message = "npu: error: --json and --markdown are given, one of them expected\n"
    assert capsys.readouterr().err == message
