"""How the Makefile finds a Python, and what it says when something is missing."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "tools" / "create_venv.sh"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that is the whole PATH, with nothing in it but what the script itself calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cut", "seq", "sh", "mkdir", "make", "touch"):
        (folder / name).symlink_to(next(p for p in (Path("/usr/bin") / name,) if p.exists()))
    return folder


def python(programs: Path, name: str, version: str, *, venv: bool = True) -> None:
    """A stand-in that answers what the script asks; `-m venv` copies it into the new folder."""
    path = programs / name
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        f"*version_info*) echo {version} ;;\n"
        f'"-c import venv, ensurepip") exit {int(not venv)} ;;\n'
        f'"-m venv --clear "*) mkdir -p "$4/bin" && echo {name} > "$4/made_by" ;;\n'
        "*) exit 9 ;;\n"
        "esac\n"
    )
    path.chmod(0o755)


def shim(programs: Path, name: str) -> None:
    """What a version manager leaves for a version that is not chosen."""
    (programs / name).write_text(f"#!/bin/sh\necho '{name}: command not found' >&2\nexit 127\n")
    (programs / name).chmod(0o755)


def create(programs: Path, last: int = 14, wanted: str = "") -> subprocess.CompletedProcess[str]:
    words = ["/bin/sh", str(SCRIPT), str(programs.parent / "venv"), str(last), wanted]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env={"PATH": str(programs)}
    )


def made_by(programs: Path) -> str:
    return (programs.parent / "venv" / "made_by").read_text().strip()


def test_the_newest_that_runs_and_serves_is_taken(programs: Path) -> None:
    shim(programs, "python3.13")
    for name, version in (("python3.11", "3.11"), ("python3.12", "3.12"), ("python3", "3.9")):
        python(programs, name, version)
    assert create(programs).returncode == 0
    assert made_by(programs) == "python3.12"


def test_a_target_may_need_an_older_one(programs: Path) -> None:
    python(programs, "python3.14", "3.14")
    python(programs, "python3", "3.13")
    assert create(programs, last=13).returncode == 0
    assert made_by(programs) == "python3"


def test_one_without_venv_is_passed_over(programs: Path) -> None:
    python(programs, "python3.13", "3.13", venv=False)
    python(programs, "python3.11", "3.11")
    assert create(programs).returncode == 0
    assert made_by(programs) == "python3.11"


def test_an_environment_that_serves_is_kept(programs: Path) -> None:
    python(programs, "python3.12", "3.12")
    inside = programs.parent / "venv" / "bin"
    inside.mkdir(parents=True)
    python(inside, "python", "3.11")
    done = create(programs)
    assert (done.returncode, done.stdout) == (0, "")
    assert not (inside.parent / "made_by").exists()
    assert create(programs, wanted="python3.12").returncode == 0
    assert made_by(programs) == "python3.12"


@pytest.mark.parametrize(
    ("present", "wanted", "message"),
    [
        ([], "", "no Python from 3.11 to 3.14 is on the PATH (PYTHON=... names one elsewhere)"),
        (["3.10", "3.15"], "", "no Python from 3.11 to 3.14 is on the PATH (PYTHON=... names"),
        (["3.9"], "python3.9", "PYTHON=python3.9 is 3.9, needed is 3.11 to 3.14"),
        ([], "/no/python", "PYTHON=/no/python does not run"),
    ],
)
def test_what_is_missing_is_one_line(
    programs: Path, present: list[str], wanted: str, message: str
) -> None:
    for version in present:
        python(programs, f"python{version}", version)
    done = create(programs, wanted=wanted)
    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("wanted", ["", "python3.12"])
def test_a_python_without_venv_is_named(programs: Path, wanted: str) -> None:
    python(programs, "python3.12", "3.12", venv=False)
    done = create(programs, wanted=wanted)
    assert done.returncode == 1
    assert done.stderr.endswith(
        "python3.12 lacks venv: on Debian and Ubuntu apt install python3-venv\n"
    )


@pytest.mark.parametrize("target", ["demo", "test"])
def test_a_missing_compiler_is_one_line(programs: Path, target: str) -> None:
    done = subprocess.run(
        ["make", "-s", "-C", str(ROOT), target, "SHELL=/bin/sh"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(programs), "MAKEFLAGS": ""},
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "g++ is missing: on Debian and Ubuntu apt install g++"


def test_every_target_is_in_the_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (names,) = (line.split()[1:] for line in makefile.splitlines() if line.startswith(".PHONY: h"))
    help_text = subprocess.run(
        ["make", "-C", str(ROOT)], capture_output=True, text=True, check=True
    ).stdout
    shown = {line.split()[1] for line in help_text.splitlines() if line.startswith("make ")}
    assert shown == {*names} - {"help", "compiler"}
