"""Docstrings of this project as Markdown, for the site."""

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any

import griffe

_ENTRY = re.compile(r"^([\w`*.]+(?:, [\w`*.]+)*) : (.*)$")


class Sections(griffe.Extension):
    """Makes a heading underlined with dashes a bold line, and what is below it a list."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of an object as it is collected."""
        if obj.docstring is not None:
            obj.docstring.value = "\n".join(to_markdown(obj.docstring.value))


def to_markdown(docstring: str) -> Iterator[str]:
    """Lines of Markdown.

    A session (`>>>`) becomes code. Below a heading (`Parameters`, a line of dashes) an entry is
    `name : text`, which goes on in lines that are indented.
    """
    lines = cleandoc(docstring).splitlines()
    in_section = in_session = False
    for number, line in enumerate(lines):
        if line.startswith(">>> ") != in_session:
            in_session = not in_session
            yield "```pycon" if in_session else "```"
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if re.fullmatch(r"-{3,}", line) and number and lines[number - 1].strip():
            continue
        if re.fullmatch(r"-{3,}", following) and line.strip():
            in_section = True
            yield f"**{line}**"
            yield ""
            continue
        if not in_section:
            yield line
            continue
        entry = _ENTRY.match(line)
        if entry is not None:
            yield f"- `{entry[1].replace('`', '')}`: {entry[2]}"
        elif line.strip():
            yield f"    {line.strip()}"
        else:
            yield ""
    if in_session:
        yield "```"
