"""What a result depends on, and what it does not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import rtl
from npu.synth import design
from npu.synth.cores import core_design
from npu.synth.design import npu_design, rtl_digest
from npu.synth.passes import read_passes
from npu.synth.targets import Family
from sim.soc.cores import CV32E40P, VEXRISCV
from tests.sim.configs import SMALL

FILES = {
    "__init__.py": '"""The package."""\n',
    "verilog.py": "from rtl import parts\nfrom rtl.npu import Npu\n",
    "npu.py": "import rtl.deep.adder\n\nclass Npu:\n    width = 8\n",
    "parts.py": "A = 1\n",
    "deep/__init__.py": "",
    "deep/adder.py": "def add(a, b):\n    return a + b\n",
    "table.py": "for_documents = 1\n",
}


@pytest.fixture(name="digest_with")
def digest_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The digest of `FILES`, some of them replaced."""
    monkeypatch.setattr(rtl, "__file__", str(tmp_path / "__init__.py"))
    (tmp_path / "deep").mkdir()

    def digest(**changes: str) -> str:
        for name, text in {**FILES, **{f"{k}.py": v for k, v in changes.items()}}.items():
            (tmp_path / name).write_text(text)
        rtl_digest.cache_clear()
        return rtl_digest()

    yield digest
    rtl_digest.cache_clear()


def test_comments_and_documents_do_not_count(digest_with: Callable[..., str]) -> None:
    first = digest_with()
    assert digest_with(parts="# one\nA = 1\n'''What A is.'''\n") == first
    assert digest_with(table="for_documents = 2\n") == first
    adder = '"""Adds."""\ndef add(a, b):\n    """The sum."""\n    return a + b\n'
    assert digest_with(**{"deep/adder": adder}) == first


@pytest.mark.parametrize("name", ["parts", "npu", "deep/adder", "__init__"])
def test_code_that_the_hardware_is_made_by_counts(
    name: str, digest_with: Callable[..., str]
) -> None:
    assert digest_with() != digest_with(**{name: FILES[f"{name}.py"] + "B = 2\n"})


def test_the_real_one_covers_the_blocks() -> None:
    root = Path(rtl.__file__).parent
    assert design._module_path(root, "rtl.npu") == root / "npu.py"
    assert design._module_path(root, "amaranth.hdl") is None
    assert len(rtl_digest()) == 24


def test_the_npu_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = npu_design(SMALL, "small", Family.ECP5)
    assert (first.name, first.top, first.suffix) == ("small", "npu", ".v")
    assert "module npu(" in first.files[0]
    assert first.write(tmp_path) == ["design0.v"]
    # the second comes from the cache
    monkeypatch.setattr("rtl.verilog.write_verilog", None)
    assert npu_design(SMALL, "small", Family.ECP5) == first


def test_multipliers_are_cells_where_the_family_has_them() -> None:
    cells, plain = (npu_design(SMALL, "small", f) for f in (Family.ECP5, Family.GENERIC))
    assert "MULT18X18D" in cells.files[0]
    assert "MULT18X18D" not in plain.files[0]
    assert any("-lib" in command for command in read_passes(cells, ["design0.v"]))
    assert not any("-lib" in command for command in read_passes(plain, ["design0.v"]))


def test_the_cores_are_designs_with_an_open_clock_gate() -> None:
    for core in (VEXRISCV, CV32E40P):
        pytest.importorskip(core.module, reason="needs pip install -e '.[soc]'")
    plain, full = core_design(VEXRISCV), core_design(CV32E40P)
    assert [plain.suffix, full.suffix] == [".v", ".sv"]
    assert all("module cpu (" in found.files[-1] for found in (plain, full))
    (gate,) = (text for text in full.files if "module cv32e40p_clock_gate" in text)
    assert "assign clk_o = clk_i;" in gate
    assert "latch" not in gate
