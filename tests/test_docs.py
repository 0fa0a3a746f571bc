"""Tables in documents are those that the code makes."""

import re
from pathlib import Path

import pytest

from rtl.isa import BEAT_BITS, COMMANDS, Command, Opcode, encode
from rtl.isa_table import field_tables
from tests import docs


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, name, _ in docs.TABLES])
def test_documents_are_current(path: Path, name: str) -> None:
    make = next(make for *where, make in docs.TABLES if where == [path, name])
    text = path.read_text(encoding="utf-8")
    assert docs.replace_section(text, name, make()) == text, "`make docs` renews it"


def test_only_what_is_between_the_markers_is_replaced() -> None:
    text = "before\n<!-- a:begin -->\nold\n<!-- a:end -->\nafter\n"
    replaced = docs.replace_section(text, "a", "new\n")
    assert replaced == "before\n<!-- a:begin -->\nnew\n<!-- a:end -->\nafter\n"
    with pytest.raises(docs.MarkerError, match="needs a line <!-- b:begin -->"):
        docs.replace_section(text, "b", "new\n")


def test_stale_tables_are_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.md"
    path.write_text("before\n<!-- t:begin -->\nold\n<!-- t:end -->\nafter\n")
    monkeypatch.setattr(docs, "TABLES", ((path, "t", lambda: "new\n"),))
    assert docs.main() == 0
    assert path.read_text() == "before\n<!-- t:begin -->\nnew\n<!-- t:end -->\nafter\n"
    assert capsys.readouterr().out == f"{path}: t\n"
    assert docs.main() == 0
    assert capsys.readouterr().out == ""
    path.write_text("no markers\n")
    assert docs.main() == 1
    assert "needs a line <!-- t:begin -->" in capsys.readouterr().err


@pytest.mark.quick
@pytest.mark.parametrize("opcode", COMMANDS, ids=lambda opcode: str(opcode.name))
def test_fields_are_where_the_table_says(opcode: Opcode) -> None:
    """Each field set to all ones is exactly its bits in the encoded command."""
    tables = field_tables().split("\n\n")
    (own,) = [t for t in tables if re.search(rf"fields of .*\b{opcode.name}\b", t)] or [""]
    places: dict[str, tuple[int, int, int]] = {}
    for row in re.findall(r"^\| (\d+) \| (`.*) \|$", f"{tables[1]}\n{own}", re.M):
        for name, last, first in re.findall(r"`(\w+)` (?:signed )?(?:(\d+):)?(\d+)", row[1]):
            places[name] = int(row[0]), int(last or first), int(first)
    fields = COMMANDS[opcode].fields
    assert set(places) == {*fields, "opcode", "flags"}
    empty = Command(opcode, dict.fromkeys(fields, 0))
    for name, shape in fields.items():
        ones = -1 if shape.signed else (1 << shape.width) - 1
        changed = encode(Command(opcode, {**empty.fields, name: ones})) ^ encode(empty)
        beat, last, first = places[name]
        mask = (1 << last + 1) - (1 << first)
        expected = [mask if i == beat else 0 for i in range(len(changed))]
        assert [int(word) for word in changed] == expected, name
        assert last < BEAT_BITS


CONTRIBUTING = (docs.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CHANGES = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in CONTRIBUTING.partition("I want to add | go to |")[2].splitlines()
    if line.startswith(("| a ", "| an "))
]


@pytest.mark.quick
def test_newcomers_are_told_of_twelve_changes() -> None:
    assert len(CHANGES) == 12
    assert all(re.search(r"`[a-z]+/", where) for _, where in CHANGES)


@pytest.mark.quick
@pytest.mark.parametrize(("change", "where"), CHANGES)
def test_newcomers_are_sent_to_what_exists(change: str, where: str) -> None:
    """Paths in backticks, and in brackets behind them what the file is to define or use."""
    for path, named in re.findall(r"`([\w./]+/[\w./]*)`(?: \(((?:`\w+`,? ?)+)\))?", where):
        target = docs.ROOT / path
        assert target.is_dir() if path.endswith("/") else target.is_file(), f"{change}: {path}"
        for name in re.findall(r"\w+", named):
            assert re.search(rf"\b{name}\b", target.read_text(encoding="utf-8")), f"{path}: {name}"


@pytest.mark.quick
@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (docs.ROOT / document).read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", text)
    assert targets
    assert [target for target in targets if not (docs.ROOT / target).exists()] == []
