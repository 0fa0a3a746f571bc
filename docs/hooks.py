"""Puts the repository's own texts onto the site, as they are and where they are.

Links to source files lead to the page of their module, others to a page with the file.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

FOLDERS = (".", "rtl", "sim", "kernels", "npu", "tests")
"""Where texts lie; below all but the first in folders too."""

TITLES = {
    "README.md": "Overview",
    "rtl/ARCHITECTURE.md": "Architecture",
    "rtl/INTEGRATION.md": "Integration",
    "CONTRIBUTING.md": "Contributing",
    "CHANGELOG.md": "Changelog",
}
"""What some are called in the navigation, where they come first; others by their heading."""


def _texts() -> dict[str, str]:
    found = {
        str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
    }
    others = {path: _heading(ROOT / path) for path in sorted(found - set(TITLES))}
    return {**TITLES, **others}


def _heading(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return next((line[2:] for line in lines if line.startswith("# ")), path.stem)


TEXTS = _texts()
"""The texts of the repository, by path, and what they are called."""

PACKAGES = {"rtl": "Hardware", "kernels": "Kernels", "sim": "Simulators"}
"""Whose modules have pages with what their docstrings say; of `npu`, what `import npu` offers."""

_LINK = re.compile(r"(?<=\]\()(?!https?://|#|mailto:)([^)#\s]+)")


def modules(package: str) -> list[str]:
    """Names of a package's modules with public functions or classes, in alphabetical order."""
    names = []
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") for part in parts) and _public(path):
            names.append(".".join(parts))
    return names


def _public(path: Path) -> bool:
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    return any(
        isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        for node in nodes
    )


def page_of(module: str) -> str:
    """Where the page of a module is on the site."""
    return f"reference/{module}.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation: texts, then what can be imported."""
    reference: list[Any] = ["reference/index.md", {"import npu": page_of("npu")}]
    for package, title in PACKAGES.items():
        pages = [{name.partition(".")[2]: page_of(name)} for name in modules(package)]
        reference.append({title: pages})
    config.nav = [
        *({title: path} for path, title in TEXTS.items()),
        {"Examples": "examples/index.md"},
        {"Licence": "LICENSE.md"},
        {"Reference": reference},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Everything but what lies in `pages`."""
    for path in (*TEXTS, *_pictures()):
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    for path, text in _generated():
        files.append(File.generated(config, path, content=text))
    return files


def _pictures() -> Iterator[str]:
    for path in TEXTS:
        folder = (ROOT / path).parent
        for name in re.findall(r"!\[[^]]*\]\(([^)\s]+)\)", (ROOT / path).read_text("utf-8")):
            yield str((folder / name).resolve().relative_to(ROOT))


def _generated() -> Iterator[tuple[str, str]]:
    offered = "::: npu\n    options:\n      members: false\n      show_root_heading: false\n"
    yield page_of("npu"), f"# import npu\n\n{offered}\n{_docstrings('npu.api')}"
    for package in PACKAGES:
        for name in modules(package):
            yield page_of(name), f"# {name}\n\n{_docstrings(name)}"
    shown = [f"## {p.name}\n\n{_source(p)}" for p in sorted((ROOT / "examples").glob("*.*"))]
    yield "examples/index.md", "# Examples\n\n" + "\n".join(shown)
    yield "LICENSE.md", f"# Licence\n\n```text\n{(ROOT / 'LICENSE').read_text('utf-8')}```\n"


def _docstrings(module: str) -> str:
    return f"::: {module}\n    options:\n      show_root_heading: false\n"


def _source(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        language = {".v": "verilog"}.get(path.suffix, "python")
        return f"```{language}\n{text}```\n"
    cells = json.loads(text)["cells"]
    parts = [
        # below the heading of the file
        re.sub("^#", "##", source, flags=re.M)
        if cell["cell_type"] == "markdown"
        else f"```python\n{source}\n```"
        for cell in cells
        for source in ["".join(cell["source"])]
    ]
    return "\n\n".join(parts) + "\n"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links to what is no text lead to its page; folded parts are Markdown too."""
    here = dirname(page.file.src_uri)

    def target(found: re.Match[str]) -> str:
        path = normpath(f"{here}/{found[1]}") if here else normpath(found[1])
        other = _page_of_file(path)
        return found[1] if other is None else relpath(other, here or ".")

    return _LINK.sub(target, markdown).replace("<details>", '<details markdown="1">')


def _page_of_file(path: str) -> str | None:
    """The page for a file of the repository that is no page itself."""
    if path == "LICENSE":
        return "LICENSE.md"
    if path == "examples" or path.startswith("examples/"):
        return "examples/index.md"
    if path == "npu/__init__.py":
        return page_of("npu")
    if path.endswith(".py"):
        return page_of(path.removesuffix(".py").replace("/", "."))
    return None
