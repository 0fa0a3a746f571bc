"""Figures hold the record's numbers, each where it belongs."""

from collections import Counter
from typing import Any

import pytest

from npu.report.page.layer_figures import cycles_figure, network_figure, roofline_figure
from npu.report.page.style import PLACEMENT
from npu.report.page.time_figures import map_figure, memory_figure, timeline_figure
from npu.report.picture import MAP_COLUMNS, MAP_ROWS, join_slices, picture_record
from tests.npu.report.page.records import small_run


@pytest.fixture(name="record")
def record_fixture() -> dict[str, Any]:
    return small_run()[2]


def test_the_network_is_drawn_by_placement(record: dict[str, Any]) -> None:
    figure = network_figure(record)
    drawn = {trace["name"]: trace for trace in figure["data"] if trace["mode"] == "markers+text"}
    for name, trace in drawn.items():
        own = [n for n, layer in enumerate(record["layers"]) if layer["placed"] == name]
        assert trace["y"] == own
        assert trace["marker"]["color"] == PLACEMENT[name]
        assert [text.split()[1] for text in trace["text"]] == [
            record["layers"][n]["op"] for n in own
        ]
    assert set(drawn) == {"NPU", "CPU"}


def test_every_edge_is_drawn_and_none_over_another(record: dict[str, Any]) -> None:
    graph = small_run()[0]
    lines = [trace for trace in network_figure(record)["data"] if trace["mode"] == "lines"]
    ends = [(line["y"][0], line["y"][-1]) for line in lines]
    expected = {
        (producer.index, op.index)
        for op in graph.operators
        for producer in map(graph.producer, op.inputs)
        if producer is not None
    }
    assert Counter(ends) == Counter(expected)
    assert any(last - first > 1 for first, last in ends)
    lanes = [(min(line["x"]), *end) for line, end in zip(lines, ends, strict=True)]
    for one, (lane, first, last) in enumerate(lanes):
        for other, begin, end in lanes[:one]:
            assert lane != other or last <= begin or end <= first


def test_bars_add_up_to_the_cycles(record: dict[str, Any]) -> None:
    figure = cycles_figure(record)
    assert figure is not None
    timed = [layer for layer in record["layers"] if layer["cycles"]]
    sums = [sum(bars) for bars in zip(*(trace["x"] for trace in figure["data"]), strict=True)]
    assert sums == [layer["cycles"] for layer in timed]
    assert sum(sums) == record["cycles"]
    for trace in figure["data"]:
        cause = {"working": "busy"}.get(trace["name"], trace["name"])
        assert trace["x"] == [layer["engines"]["compute"].get(cause, 0) for layer in timed]


def test_layers_without_an_account_are_whole_bars(record: dict[str, Any]) -> None:
    layers = [{**layer, "engines": None} for layer in record["layers"]]
    figure = cycles_figure({**record, "layers": layers})
    assert figure is not None
    (trace,) = figure["data"]
    assert trace["name"] == "cycles"
    assert sum(trace["x"]) == record["cycles"]


def test_points_stand_under_their_roof(record: dict[str, Any]) -> None:
    figure = roofline_figure(record)
    assert figure is not None
    roof, *traces = figure["data"]
    assert roof["y"][1:] == [record["macs_per_cycle"]] * 2
    assert roof["y"][0] == roof["x"][0] * record["parameters"]["bus_bytes"]
    drawn = {
        text: (x, y)
        for trace in traces
        for text, x, y in zip(trace["text"], trace["x"], trace["y"], strict=True)
    }
    expected = {
        f"{layer['index']} {layer['op']}": (
            layer["roofline"]["macs_per_byte"],
            layer["roofline"]["macs_per_cycle"],
        )
        for layer in record["layers"]
        if layer["roofline"]
    }
    assert drawn == expected
    assert len(expected) > 1


def test_engines_are_drawn_as_they_worked(record: dict[str, Any]) -> None:
    """Every command is a slice, and the busy ones cover what the hardware counted."""
    result = small_run()[1]
    figure = timeline_figure(record)
    assert figure is not None
    ((program, _),) = result.runs
    *bars, curve = figure["data"]
    drawn = Counter(engine for trace in bars for engine in trace["y"])
    commands = Counter(
        event.engine.name.lower() for event in result.runs[0][1].events if event.start
    )
    assert drawn == commands
    ends = [b + x for trace in bars for b, x in zip(trace["base"], trace["x"], strict=True)]
    assert 0 < max(ends) <= record["cycles"]
    labels = {label for trace in bars if "compute" in trace["y"] for label in trace["customdata"]}
    computing = {str(layer.operator_index) for layer in program.layers if layer.compute_commands}
    assert {label.split()[0] for label in labels} == computing
    assert max(curve["y"]) == record["scratchpad"]["peak_kib"]
    assert 0 < record["scratchpad"]["peak_kib"] <= record["parameters"]["scratchpad_kib"]


def test_the_map_shows_who_owns_the_scratchpad(record: dict[str, Any]) -> None:
    figure = map_figure(record)
    assert figure is not None
    (trace,) = figure["data"]
    operators = record["scratchpad_map"]["operators"]
    assert (len(trace["z"]), len(trace["z"][0])) == (MAP_ROWS, MAP_COLUMNS)
    assert trace["customdata"] == operators
    on_npu = {layer["index"] for layer in record["layers"] if layer["placed"] == "NPU"}
    assert {cell for row in operators for cell in row} - {None} <= on_npu
    # as much is in use as the curve says, up to what a cell rounds up
    used = max(sum(cell is not None for cell in column) for column in zip(*operators, strict=True))
    row_kib = record["scratchpad_map"]["kib"][1]
    assert used * row_kib >= record["scratchpad"]["peak_kib"] * 0.9
    # the last row is that of the greatest address
    assert any(cell is not None for cell in operators[-1])


def test_memories_are_drawn_with_their_sizes(record: dict[str, Any]) -> None:
    ((program, _),) = small_run()[1].runs
    figure = memory_figure(record)
    assert figure is not None
    regions, *arena = figure["data"]
    assert dict(zip(regions["y"], regions["x"], strict=True)) == {
        "commands": program.commands.nbytes,
        "constants": program.constants.nbytes,
        "arena": program.arena_bytes,
    }
    drawn = {
        (name, base, size)
        for trace in arena
        for name, base, size in zip(trace["y"], trace["base"], trace["x"], strict=True)
    }
    bindings = (*program.inputs, *program.outputs, *program.tensors)
    assert drawn == {(f"tensor {b.tensor_index}", b.offset, b.size) for b in bindings}


def test_without_time_there_is_less_to_draw() -> None:
    graph, result, record = small_run("functional")
    assert set(picture_record(graph, result)) == {"network", "regions"}
    assert cycles_figure(record) is None
    assert roofline_figure(record) is None
    assert timeline_figure(record) is None
    assert map_figure(record) is None
    assert memory_figure(record) is not None
    graph, result, record = small_run("reference")
    assert set(picture_record(graph, result)) == {"network"}
    assert memory_figure(record) is None


def test_many_slices_are_joined_across_the_smallest_gaps() -> None:
    slices = [(0, 2, "a"), (2, 2, "a"), (5, 1, "a"), (20, 1, "a"), (30, 1, "b")]
    assert join_slices(slices, 5) == slices
    assert join_slices(slices, 4) == [(0, 4, "a"), (5, 1, "a"), (20, 1, "a"), (30, 1, "b")]
    assert join_slices(slices, 3) == [(0, 6, "a"), (20, 1, "a"), (30, 1, "b")]
    assert join_slices(slices, 2) == [(0, 21, "a"), (30, 1, "b")]


def test_slices_that_cannot_be_joined_are_cut() -> None:
    slices = [(2 * n, 1, "ab"[n % 2]) for n in range(10)]
    assert join_slices(slices, 4) == slices[:4]
