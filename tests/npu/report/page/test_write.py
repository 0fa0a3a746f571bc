"""The file: complete by itself, small enough, and with the numbers of the JSON."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from npu.errors import OutputError
from npu.report.page.write import page_text, write_page
from tests.npu.report.page.records import shipped_page, small_run

MOST_BYTES = 6_000_000


class Page(HTMLParser):
    """What a test asks of a page: its scripts by id, addresses, and tables as text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.addresses: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._script: dict[str, str | None] | None = None
        self._rows: list[list[str]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "action") and v]
        if tag == "script":
            self._script = given
        elif tag == "table":
            self._rows = self.tables[str(given["id"])] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._script = None
        elif tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts.append((self._script, data))
        elif self._in_cell:
            self._rows[-1][-1] += data

    def data(self, name: str) -> Any:
        """The JSON in the script with an id, or for a figure."""
        found = [
            text for given, text in self.scripts if name in (given.get("id"), given.get("data-for"))
        ]
        return json.loads("".join(found))


def test_the_page_of_a_run(tmp_path: Path) -> None:
    path, record = shipped_page(tmp_path, "run", "--backend", "cycle", "--check")
    assert path.stat().st_size < MOST_BYTES
    page = Page(path.read_text(encoding="utf-8"))
    # nothing is fetched: addresses lead to sections of the page
    assert [a for a in page.addresses if not a.startswith(("#", "data:,"))] == []
    shown = page.data("record")
    for output in record["outputs"]:
        del output["data"]
    assert {key: shown[key] for key in record} == record
    assert sum(sum(trace["x"]) for trace in page.data("figure-cycles")["data"]) == record["cycles"]
    head, *rows = page.tables["layers"]
    cycles = head.index("cycles")
    assert [row[cycles] for row in rows] == [
        "-" if layer["cycles"] is None else f"{layer['cycles']:,}" for layer in record["layers"]
    ]
    assert dict(page.tables["counters"][1:]) == {
        name: f"{count:,}" for name, count in record["counters"].items()
    }
    assert {row[0] for row in page.tables["parameters"][1:]} == set(record["parameters"])
    assert len(re.findall("plotly.js v", path.read_text(encoding="utf-8"))) == 1


def test_the_page_of_a_comparison(tmp_path: Path) -> None:
    path, record = shipped_page(tmp_path, "speedup")
    page = Page(path.read_text(encoding="utf-8"))
    assert page.data("record") == {**record, "outputs": []}
    (trace,) = page.data("figure-cycles")["data"]
    assert trace["x"] == [rung["cycles"] for rung in record["rungs"]]
    _, *rows = page.tables["rungs"]
    assert [row[1] for row in rows] == [f"{rung['cycles']:,}" for rung in record["rungs"]]
    assert f"{record['npu_cycles']:,}" in path.read_text(encoding="utf-8")


def test_the_page_of_a_compiled_file(tmp_path: Path) -> None:
    path, record = shipped_page(tmp_path, "compile", "--output", str(tmp_path / "out.tflite"))
    assert path.stat().st_size < MOST_BYTES
    page = Page(path.read_text(encoding="utf-8"))
    assert page.data("record") == {**record, "outputs": []}
    segments = record["summary"]["segments"]
    (trace,) = page.data("figure-cycles")["data"]
    assert trace["x"] == [segment["cycles"] for segment in segments]
    weights, commands = page.data("figure-bytes")["data"]
    assert weights["x"] == [segment["constant_bytes"] for segment in segments]
    assert commands["x"] == [segment["command_bytes"] for segment in segments]
    head, *rows = page.tables["segments"]
    assert [row[head.index("cycles")] for row in rows] == [f"{s['cycles']:,}" for s in segments]
    assert record["summary"]["file_bytes"] == (tmp_path / "out.tflite").stat().st_size
    stays = page.tables.get("stays", [[]])[1:]
    assert len(stays) == len(record["summary"]["cpu_operators"])


@pytest.mark.parametrize("backend", ["reference", "functional"])
def test_pages_of_runs_without_time(backend: str) -> None:
    page = Page(page_text(small_run(backend)[2]))
    names = {given["data-for"] for given, _ in page.scripts if given.get("data-for")}
    assert names == {"figure-network"} | ({"figure-memory"} if backend == "functional" else set())
    assert "layers" in page.tables


def test_names_are_text_and_nothing_else() -> None:
    """A file's names come from anywhere."""
    evil = "</script><script>alert(1)</script><b>&"
    record = small_run()[2]
    layers = [{**record["layers"][0], "op": evil, "reason": evil}, *record["layers"][1:]]
    text = page_text({**record, "model": f"{evil}.tflite", "layers": layers})
    assert "<script>alert" not in text
    page = Page(text)
    assert page.data("record")["layers"][0]["op"] == evil
    assert page.tables["layers"][1][1] == evil


def test_a_page_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write '.*': Is a directory"):
        write_page(small_run()[2], tmp_path)
