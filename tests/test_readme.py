"""Every command that the README shows is run."""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from npu.speedup.store import SHIPPED
from rtl.driver_files import driver_files

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.S)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line]
SCRIPTS = re.findall(r"```python\n(.*?)```", README, re.S)
CPP = re.findall(r"```cpp\n(.*?)```", README, re.S)
# commands within sentences: those with a subject to act on, not names alone
MENTIONED = [
    text
    for name in ("README.md", "CONTRIBUTING.md")
    for text in re.findall(r"`([^`\n]+)`", (ROOT / name).read_text(encoding="utf-8"))
    if re.match(r"(make|npu|python|pip) [a-z-]+( |$)", text) or "python -m" in text
]
NPU = Path(sys.executable).with_name("npu")


def test_readme_has_the_two_commands() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_exist(command: str) -> None:
    """`make test` runs this test, so targets are resolved, not run; the demo has a test below."""
    done = subprocess.run(
        [*shlex.split(command), "-n"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_demo_is_what_the_make_target_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo: .*setup\n\t@\$\(BIN\)/npu demo$", makefile, re.M)
    run(["npu", "demo"], ROOT)


@pytest.mark.parametrize("command", [c for c in COMMANDS if not c.startswith("make ")])
def test_commands_work(command: str, tmp_path: Path) -> None:
    """Run as written, but with `build/` in a temporary folder."""
    (tmp_path / "build").mkdir()
    words = shlex.split(command.replace("build/", f"{tmp_path}/build/"))
    assert run(words, ROOT)


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_work(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("snippet", CPP)
def test_cpp_compiles(snippet: str, tmp_path: Path) -> None:
    """Against the driver, and declarations of TFLM as far as the operator needs them."""
    for name, text in driver_files().items():
        (tmp_path / name).write_text(text)
    source = tmp_path / "snippet.cpp"
    source.write_text(
        '#include "npu_tflm.h"\n'
        "struct Resolver { void AddCustom(const char *, const TFLMRegistration *) {} };\n"
        "void use(npu_device &npu, Resolver &resolver);\n"
        f"void use(npu_device &npu, Resolver &resolver)\n{{\n{snippet}}}\n"
    )
    declarations = ROOT / "npu" / "embedded" / "tflm"
    command = ["g++", "-std=c++17", "-Wall", "-Werror", "-fsyntax-only", f"-I{tmp_path}"]
    command += [f"-I{declarations}", "-DNPU_TFLM_NAMESPACE=tflite::micro", str(source)]
    subprocess.run(command, check=True)


@pytest.mark.parametrize("command", sorted({*MENTIONED}))
def test_commands_in_sentences_exist(command: str) -> None:
    """Targets, subcommands, modules and extras that there are."""
    words = shlex.split(command)
    match words[0]:
        case "make":
            test_make_targets_exist(command)
        case "npu":
            options = [word for word in words[2:] if word.startswith("--")]
            printed = run([*words[:2], "--help"], ROOT)
            assert all(option in printed for option in options), printed
        case "python":
            assert words[1] == "-m"
            assert importlib.util.find_spec(words[2]) is not None
        case "pip":
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
            (named,) = re.findall(r"\[(\w+)\]", command)
            assert named in extras["project"]["optional-dependencies"]


def run(words: list[str], folder: Path) -> str:
    """Run an `npu` command in `folder` and return what it printed."""
    assert words[0] == "npu", f"the README shows a command that this test does not know: {words}"
    done = subprocess.run(
        [str(NPU), *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stderr}"
    return done.stdout + done.stderr


def test_the_operator_table_is_what_npu_ops_prints() -> None:
    printed = run(["npu", "ops", "--markdown"], ROOT)
    assert f"<!-- operators:begin -->\n{printed}<!-- operators:end -->" in README


def test_the_speedup_table_is_what_ships() -> None:
    table = README.partition("<!-- speedup:begin -->\n")[2].partition("<!-- speedup:end -->")[0]
    heading, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    ]
    assert {row[0] for row in rows} == {path.stem for path in SHIPPED.glob("*.json")}
    for name, *cells in rows:
        entries = json.loads((SHIPPED / f"{name}.json").read_text()).values()
        shipped = {entry["rung"]: f"{entry['cycles'] / 1e6:.3f}" for entry in entries}
        shown = dict(zip(heading[1:], (cell.split()[0] for cell in cells), strict=True))
        assert shown == shipped, name
