"""The suite itself: what its runs say, and that documents and workflows call what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


def test_missing_networks_are_said_aloud(tmp_path: Path) -> None:
    tests = "tests/npu/compiler/test_networks.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests],
        cwd=ROOT,
        env={**os.environ, "NPU_MODELS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    found = re.search(
        r"^(\d+) tests did not run: 9 of 9 public networks are not in", done.stdout, re.M
    )
    assert found, done.stdout
    assert f"{found[1]} skipped" in done.stdout.splitlines()[-1]


@pytest.mark.quick
def test_every_test_has_a_time_limit(request: pytest.FixtureRequest) -> None:
    assert request.config.pluginmanager.hasplugin("timeout")
    assert float(request.config.getini("timeout")) > 0


@pytest.mark.quick
def test_the_workflow_and_the_hooks_call_what_make_calls() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    called = re.findall(r"run: make PYTHON=python (\w+)", WORKFLOW.read_text(encoding="utf-8"))
    assert called
    assert all(re.search(rf"^{name}: ", makefile, re.M) for name in called)
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    lint = re.findall(
        r"^\t\$\(BIN\)/(\S+(?: (?:format|check))?)",
        makefile.partition("\nlint:")[2].partition("\n\n")[0],
        re.M,
    )
    assert [f".venv/bin/{name}" for name in lint] == re.findall(r"entry: (.*)", hooks)
