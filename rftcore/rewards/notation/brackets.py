"""Find matching brackets. A closing bracket of any kind closes, as in (0, 1]."""

import re


def split(text: str, mark: re.Pattern[str]) -> list[str]:
    """Split a text at the marks that are outside all brackets."""
    depths = _depths(text)
    pieces, start = [], 0
    for match in mark.finditer(text):
        if depths[match.start()] == 0 and match.end() > start:
            pieces.append(text[start : match.start()])
            start = match.end()
    return [*pieces, text[start:]]


def _depths(text: str) -> list[int]:
    """How many brackets are open before each character."""
    depth, depths = 0, []
    for char in text:
        depth -= char in ")]}"
        depths.append(max(depth, 0))
        depth = max(depth, 0) + (char in "([{")
    return depths


def last_closing(text: str) -> int:
    """Index of the bracket that closes the one at the start of a text, or -1."""
    depth = 0
    for at, char in enumerate(text):
        depth += (char in "([{") - (char in ")]}")
        if depth == 0:
            return at
    return -1
