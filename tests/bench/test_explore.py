"""What the measurements of `npu explore` compute from what they measure."""

from pathlib import Path

import pytest

from npu.explore.space import Point
from npu.model.tflite_reader import read_model_bytes
from tests.bench import scale_sim
from tests.bench.explore import Answering, hypervolume
from tests.npu.small_model import classifier


def test_hypervolume_of_a_front() -> None:
    e = 2.718281828459045
    corner = (e**2, e**2)
    assert hypervolume([(1, 1)], corner) == pytest.approx(4)
    assert hypervolume([(1, e), (e, 1)], corner) == pytest.approx(3)
    # beaten points and those beyond the corner add nothing
    assert hypervolume([(1, e), (e, 1), (e, e), (e**3, 0.1)], corner) == pytest.approx(3)
    assert hypervolume([], corner) == 0


def test_fake_workers_answer_every_task_once() -> None:
    point = Point(0, {})
    batches = list(Answering({"status": "ok"}).run((at, point) for at in range(120)))
    assert [number for batch in batches for number, _ in batch] == list(range(120))


def test_layers_as_scale_sim_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = read_model_bytes(classifier(), "classifier")
    heading, *lines = scale_sim._topology(graph).splitlines()
    assert len(lines) == sum(op.kind == "CONV_2D" for op in graph.operators)
    assert heading.count(",") == lines[0].count(",")
    report = tmp_path / "COMPUTE_REPORT.csv"
    report.write_text("LayerID, Total Cycles, Stall Cycles,\n0, 10.0, 1,\n1, 32, 0,\n")
    assert scale_sim._cycles(report) == 42
    monkeypatch.setattr(scale_sim, "PYTHON", tmp_path / "none" / "bin" / "python")
    with pytest.raises(scale_sim.ScaleSimError, match="`make bench-explore` installs it"):
        scale_sim.simulate_layers(graph)
