"""Markdown from text that may come from data or a model: it stays text, whatever is in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"([\\`*_\[\]|~$#])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: object) -> str:
    """Text on one line that Markdown shows as it is: no markup, HTML, link or invisible mark."""
    line = " ".join(str(text).split())
    seen = "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    plain = re.sub("[&<>]", lambda found: _ENTITIES[found[0]], seen)
    marked = _MARKS.sub(r"\\\1", plain)
    unlinked = marked.replace("://", "&#58;//").replace("@", "&#64;")
    return re.sub(r"(?i)\b(www)\.", r"\1&#46;", unlinked)


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table; every cell is escaped."""
    head, *body = (f"| {' | '.join(map(escaped, line))} |" for line in (header, *rows))
    return "\n".join([head, f"|{' --- |' * len(header)}", *body])


def fenced(text: str, language: str) -> str:
    """A code block. No line of the text ends it: its fence is longer than any in the text."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
