"""The site of `make docs`: built strictly, every link leads somewhere, nothing is fetched."""

import importlib.util
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# of the theme, to what it is made of
ABROAD = ("https://", "http://")


def load(name: str) -> ModuleType:
    """A module of the site's configuration, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(name="site", scope="module")
def site_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-f",
        str(DOCS / "mkdocs.yml"),
    ]
    done = subprocess.run(
        [*command, "-d", str(folder)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Links(HTMLParser):
    """Where a page leads to, what it loads, and what in it can be led to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") != "canonical":
            self.loaded.append(given.get("href", ""))
        elif "src" in given:
            self.loaded.append(given["src"])


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {path: Links(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(pages) > 100
    broken = []
    for path, page in pages.items():
        for link in (*page.links, *page.loaded):
            parts = urlsplit(link)
            if link.startswith(ABROAD) or parts.scheme == "mailto":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else set()
            if not target.is_file() or (parts.fragment and parts.fragment not in anchors):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


def test_nothing_is_fetched(site: Path) -> None:
    pages = [Links(path) for path in site.rglob("*.html")]
    assert [link for page in pages for link in page.loaded if link.startswith(ABROAD)] == []


def test_texts_and_docstrings_are_there(site: Path) -> None:
    hooks = load("hooks")
    assert {"README.md", "rtl/ARCHITECTURE.md", "npu/zoo/README.md"} < set(hooks.TEXTS)
    for text in hooks.TEXTS:
        first = next(
            line.removeprefix("# ").replace("`", "")
            for line in (ROOT / text).read_text(encoding="utf-8").splitlines()
            if line.startswith("# ")
        )
        page = site / text.replace("README.md", "index.html").replace(".md", ".html")
        assert first in page.read_text(encoding="utf-8")
    config = (site / "reference" / "rtl.config.html").read_text(encoding="utf-8")
    assert "One NPU. The grid computes" in config
    assert "<code>scratchpad_kib</code>: activation memory, KiB." in config
    offered = (site / "reference" / "npu.html").read_text(encoding="utf-8")
    assert all(f'id="npu.api.{name}"' in offered for name in ("load", "run", "compile"))
    # folded, and a table all the same
    assert "<td>CONV_2D, DEPTHWISE_CONV_2D</td>" in (site / "index.html").read_text("utf-8")


def test_docstrings_become_lists() -> None:
    docstring = """What it does.

    >>> act(1, 2)

    Parameters
    ----------
    a, b : the operands,
        of one shape.
    `c` : more.

    Raises
    ------
    ValueError : they differ.
    """
    assert list(load("docstrings").to_markdown(docstring)) == [
        "What it does.",
        "",
        "```pycon",
        ">>> act(1, 2)",
        "```",
        "",
        "**Parameters**",
        "",
        "- `a, b`: the operands,",
        "    of one shape.",
        "- `c`: more.",
        "",
        "**Raises**",
        "",
        "- `ValueError`: they differ.",
    ]
