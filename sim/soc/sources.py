"""Source text as far as it matters for what is built of it."""

import re

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)


def without_comments(text: str) -> str:
    """C or Verilog without comments, and every run of white space as one space.

    For content keys, so that a comment does not make a measurement stale. Texts must not have
    comment signs inside strings.
    """
    return " ".join(_COMMENT.sub(" ", text).split())
