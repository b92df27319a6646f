"""Remove the marks around an answer and the LaTeX that only changes its appearance."""

import re

from rftcore.rewards.notation.part import UnreadableError
from rftcore.spelling import closing

_MARKS = (
    *(("$$", "$$"), ("$", "$"), (r"\[", r"\]"), (r"\(", r"\)")),
    *(("**", "**"), ("__", "__"), ("`", "`"), ("*", "*"), ('"', '"')),
)
_BOXES = re.compile(
    r"\\(?:boxed|fbox|text(?:bf|it|rm|normal)?|math(?:bf|rm|it|sf|bb)?|bm)\s*(?=\{)"
)
_STYLE = re.compile(r"\\(?:left|right|displaystyle|limits|big[lr]?|Big[lr]?)(?![A-Za-z])|\\!")
_ANGLES = ((re.compile(r"\\langle(?![A-Za-z])"), "("), (re.compile(r"\\rangle(?![A-Za-z])"), ")"))
_SPACE = re.compile(r"\\(?:[,;: ]|q?quad(?![A-Za-z]))|~")
_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it|sf)|mbox|operatorname\*?)\s*\{")
_SUBSCRIPT_TEXT = re.compile(r"_\s*\{?\s*\\(?:text|mathrm)\s*\{\s*(\w*)\s*\}\s*\}?")
_THOUSANDS = re.compile(
    r"(?<![\d.,_'])[1-9]\d{0,2}"
    r"(?:(?:\\,\d{3})+|(?: \d{3})+|(?:\{,\}\d{3})+|(?:_\d{3})+|(?:'\d{3})+)"
    r"(?![\d,_{'])"
)


def bare(text: str) -> str:
    """An answer without the marks around it and the period after it.

    Raises: UnreadableError for a bracket that is not closed.
    """
    while True:
        before = text
        text = text.strip().removeprefix("=").strip()
        if text.endswith(".") and not re.search(r"\b[ap]\.\s?m\.$", text, re.IGNORECASE):
            text = text[:-1].rstrip("\\").rstrip() if not text.endswith("..") else text
        for start, end in _MARKS:
            inside = text[len(start) : -len(end)]
            if text.startswith(start) and text.endswith(end) and inside.strip():
                text = inside if not (start in inside or end in inside) else text
        box = _BOXES.match(text)
        if box and closing(text, box.end()) == len(text) - 1:
            text = text[box.end() + 1 : -1]
        if text == before:
            return _unstyled(text)


_REPEATING = re.compile(r"(?<![\w.,])(\d{1,30})?\.(\d{0,30})\\overline\s*(?:\{(\d{1,30})\}|(\d))")


def _repeating(match: re.Match[str]) -> str:
    r"""0.1\overline{6} as a fraction: (16 - 1) / 90."""
    before, period = (match[1] or "") + match[2], match[3] or match[4]
    top = int(before + period) - int(before or 0)
    return rf"\frac{{{top}}}{{{int('9' * len(period)) * 10 ** len(match[2])}}}"


def _unstyled(text: str) -> str:
    """LaTeX without commands for appearance: sizes, spaces, upright letters."""
    text = _REPEATING.sub(_repeating, text)
    text = re.sub(r"\\varnothing(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset ", text)
    text = _THOUSANDS.sub(lambda m: re.sub(r"\D", "", m[0]), text)
    text = _SUBSCRIPT_TEXT.sub(r"_{\1}", _SPACE.sub(" ", _STYLE.sub(" ", text)))
    for mark, bracket in _ANGLES:
        text = mark.sub(bracket, text)
    while match := _TEXT.search(text):
        end = closing(text, match.end() - 1)
        if end < 0:
            raise UnreadableError("a bracket is not closed")
        inside = text[match.end() : end]
        gap = "" if inside == "d" else " "  # the d of dx belongs to the next letter
        text = f"{text[: match.start()]}{gap}{inside}{gap}{text[end + 1 :]}"
    return " ".join(re.sub(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ|\{\s*°\s*\}|°)", "°", text).split())
