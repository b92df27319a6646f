"""Turn the text of a completion into an answer, or say why it has none.

Training and evaluation both read answers here, so a reward and a reported
score mean the same thing. Text in, value out: no torch, no files, no logging.
Every parser is total: whatever the text, it returns a `Parsed`.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rftcore import markup
from rftcore.errors import PluginError
from rftcore.types import Parsed, ParserFactory

_LONGEST = 40  # characters of an answer, and of what a refusal repeats of a bad one

# Plain or correctly grouped digits; re.ASCII keeps other scripts' digits out.
_DIGITS = r"(?:\d+|\d{1,3}(?:,\d{3})+)"
_INTEGER = re.compile(rf"(?P<value>[+-]?{_DIGITS})(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(
    rf"(?P<value>[+-]?(?:{_DIGITS}(?:\.\d*)?|\.\d+)(?:e[+-]?\d{{1,3}})?)\.?",
    re.ASCII | re.IGNORECASE,
)
_LETTER = re.compile(r"(?:([A-Za-z])[.)]?|\(([A-Za-z])\)\.?)")


def in_tags(completion: str, read: Callable[[str], Parsed]) -> Parsed:
    """Find the answer of a completion and `read` its text.

    The answer stands in an answer block after the reasoning; what the
    reasoning says is never read. Several blocks must say the same. Without
    any tag, the whole completion must be the bare answer.
    """
    try:
        parsed = [read(text) for text in markup.answers(completion)]
    except markup.NoAnswerError as reason:
        return Parsed(refusal=str(reason))
    refused = next((one for one in parsed if not one.ok), None)
    if refused is not None:
        return refused
    if any(one.value != parsed[-1].value for one in parsed):
        return Parsed(refusal=f"{len(parsed)} answer blocks that say different things")
    return parsed[-1]


@dataclass(frozen=True)
class Integer:
    """An integer, in digits: 5, +5, 05, 5.0 and 1,000 are; "five" and "5 cubes" are not.

    `low` and `high` are inclusive. Keep them wider than the answers, so that
    the range says nothing about the gold.
    """

    low: int | None = None
    high: int | None = None

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise PluginError(f"Integer: low={self.low} is above high={self.high}: swap them")

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        match = _match(_INTEGER, text)
        if match is None:
            return _refuse(text, "not an integer in digits")
        value = int(match["value"].replace(",", ""))
        below = self.low is not None and value < self.low
        if below or (self.high is not None and value > self.high):
            return _refuse(text, f"outside {_range(self.low, self.high)}")
        return Parsed(value)

    def show(self, value: Any) -> str:
        """Plain digits."""
        return str(int(value))


@dataclass(frozen=True)
class Number:
    """A finite decimal number: 5, -0.5, .5, 1,000.25, 2e3. No units, fractions or per cent."""

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        match = _match(_NUMBER, text)
        if match is None:
            return _refuse(text, "not a number")
        value = float(match["value"].replace(",", ""))
        return Parsed(value) if math.isfinite(value) else _refuse(text, "too large")

    def show(self, value: Any) -> str:
        """The shortest digits that read back as the same float."""
        return repr(float(value))


@dataclass(frozen=True)
class Choice:
    """One letter of `letters`: A, a, (A), A) and A. are the same choice."""

    letters: str = "ABCD"

    def __post_init__(self) -> None:
        good = re.fullmatch("[A-Z]{2,26}", self.letters) is not None
        if not good or len(set(self.letters)) != len(self.letters):
            raise PluginError(
                f"Choice: letters={self.letters!r}, but choices are two or more different "
                "capital letters, such as 'ABCD'"
            )

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        match = _match(_LETTER, text)
        letter = (match[1] or match[2]).upper() if match else ""
        if not letter or letter not in self.letters:
            return _refuse(text, f"not one letter of {self.letters}")
        return Parsed(letter)

    def show(self, value: Any) -> str:
        """The letter."""
        return str(value)


OFFERED: Mapping[str, ParserFactory] = MappingProxyType(
    {"choice": Choice, "integer": Integer, "number": Number}
)


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Match the whole text without outer white space; a long one is never a bare answer.

    The bound keeps hostile text from costing time in the pattern or in int().
    """
    text = text.strip()
    return pattern.fullmatch(text) if len(text) <= _LONGEST else None


def _refuse(text: str, reason: str) -> Parsed:
    text = text.strip()
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return Parsed(refusal=f"{shown!r} is {reason}")


def _range(low: int | None, high: int | None) -> str:
    if low is None:
        return f"the range up to {high}"
    return f"the range from {low}" if high is None else f"{low}..{high}"
