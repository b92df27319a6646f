"""Integers and decimal numbers."""

import math
import re
from dataclasses import dataclass
from typing import Any

from rftcore.errors import PluginError
from rftcore.parsers.reading import in_tags, number_error, parse_error, whole_match
from rftcore.spelling import DIGITS
from rftcore.types import Parsed

# re.ASCII keeps other scripts' digits out.
_INTEGER = re.compile(rf"(?P<value>[+-]?{DIGITS})(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(
    rf"(?P<value>[+-]?(?:{DIGITS}(?:\.\d*)?|\.\d+)(?:e[+-]?\d{{1,3}})?)\.?",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class Integer:
    """An integer, in digits: 5, +5, 05, 5.0 and 1,000 are; "five" and "5 cubes" are not.

    `low` and `high` are inclusive. Keep them wider than the answers, so that
    the range does not reveal the gold.
    """

    low: int | None = None
    high: int | None = None
    forgiving: bool = False

    def __post_init__(self) -> None:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise PluginError(f"Integer: low={self.low} is above high={self.high}: swap them")

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold, forgiving=self.forgiving)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        match = whole_match(_INTEGER, text)
        if match is None:
            return number_error(text, "not an integer in digits")
        value = int(match["value"].replace(",", ""))
        below = self.low is not None and value < self.low
        if below or (self.high is not None and value > self.high):
            return parse_error(text, f"outside {_range(self.low, self.high)}")
        return Parsed(value)

    def show(self, value: Any) -> str:
        """Plain digits."""
        return str(int(value))


@dataclass(frozen=True)
class Number:
    """A finite decimal number: 5, -0.5, .5, 1,000.25, 2e3. No units, fractions or per cent."""

    forgiving: bool = False

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold, forgiving=self.forgiving)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        match = whole_match(_NUMBER, text)
        if match is None:
            return number_error(text, "not a number")
        value = float(match["value"].replace(",", ""))
        return Parsed(value) if math.isfinite(value) else parse_error(text, "too large")

    def show(self, value: Any) -> str:
        """The shortest digits that read back as the same float."""
        return repr(float(value))


def _range(low: int | None, high: int | None) -> str:
    if low is None:
        return f"the range up to {high}"
    return f"the range from {low}" if high is None else f"{low}..{high}"
