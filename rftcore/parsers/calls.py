"""Calls of functions with an object's number and a value."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rftcore import spelling
from rftcore.errors import PluginError, closest
from rftcore.parsers.reading import LONGEST, in_tags, parse_error
from rftcore.types import Parsed

# A name in any spelling: change_size, Change-Size, change size. Possessive quantifiers and
# matching from one place on only: hostile text costs no backtracking.
_NAME = r"[A-Za-z]++(?:[ \t_-]++[A-Za-z]++)*+"
_CALL = re.compile(
    rf"(?P<function>{_NAME})\s*+\(\s*+"
    r"(?P<id_quote>['\"]?+)\s*+(?P<id>\d++)\s*+(?P=id_quote)\s*+,\s*+"
    rf"(?P<quote>['\"]?+)\s*+(?P<value>{_NAME})\s*+(?P=quote)\s*+\)",
    re.ASCII,
)
_BETWEEN = re.compile(r"[\s,;]*+", re.ASCII)  # calls


@dataclass(frozen=True, order=True)
class Call:
    """One call of an answer: a function, the number of the object it is about, a value."""

    function: str
    id: int
    value: str

    def __repr__(self) -> str:
        return f"{self.function}({self.id}, {self.value})"


@dataclass(frozen=True)
class Calls:
    """One or more calls such as `change_size(0, large), change_color(2, red)`, in their order.

    `functions` maps a function's name to the values it takes; an object's number lies in
    `low`..`high`, inclusive; an answer has at most `most` calls. Names and values may be in
    any case, in quotes of either kind, and contain spaces, hyphens or underscores; commas,
    semicolons or white space separate calls, and brackets may enclose all of them.
    The value is a tuple of `Call`. Repeated calls are kept: a
    reward decides what they are worth.
    """

    functions: Mapping[str, Sequence[str]] = field(hash=False)  # a mapping has no hash
    low: int = 0
    high: int = 99
    most: int = 16
    forgiving: bool = False

    def __post_init__(self) -> None:
        if not self.functions:
            raise PluginError("Calls: functions={}: name one function at least, with its values")
        _check_names("functions", self.functions)
        for name, values in self.functions.items():
            _check_names(f"functions[{name!r}]", values)
        if not 0 <= self.low <= self.high or self.most < 1:
            raise PluginError(
                f"Calls: low={self.low}, high={self.high}, most={self.most}: objects are "
                "numbered from low to high with 0 <= low <= high, and an answer has a call"
            )

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold, forgiving=self.forgiving)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        text = _unwrapped(text)
        calls: list[Call] = []
        at = 0
        while at < len(text):
            if len(calls) == self.most:
                return Parsed(error=f"more than {self.most} calls")
            match = _CALL.match(text, at)
            if match is None:
                return parse_error(text[at:], f"not a call such as {self._example()}")
            call = self._call(match)
            if isinstance(call, Parsed):
                return call
            calls.append(call)
            between = _BETWEEN.match(text, match.end())
            at = between.end() if between else match.end()
        return Parsed(tuple(calls)) if calls else Parsed(error="there is no call")

    def show(self, value: Any) -> str:
        """The calls by their own names, with commas between."""
        return ", ".join(map(repr, value))

    def _call(self, match: re.Match[str]) -> Call | Parsed:
        """The call in a match, or the parse error."""
        function = _named(match["function"], self.functions)
        if function is None:
            return _unknown(match["function"], "a function", self.functions)
        value = _named(match["value"], self.functions[function])
        if value is None:
            return _unknown(match["value"], f"a value of {function}", self.functions[function])
        id_ = int(match["id"]) if len(match["id"]) <= LONGEST else None
        if id_ is None or not self.low <= id_ <= self.high:
            return parse_error(match["id"], f"not an object from {self.low} to {self.high}")
        return Call(function, id_, value)

    def _example(self) -> str:
        function, values = next(iter(self.functions.items()))
        return repr(Call(function, self.low, next(iter(values))))


def _check_names(what: str, names: Iterable[str]) -> None:
    """Every name can be written in an answer, and no two are spellings of one."""
    listed = [] if isinstance(names, str) else list(names)
    plain = {_plain(name) for name in listed if re.fullmatch(_NAME, name)}
    if not listed or len(plain) < len(listed):
        raise PluginError(
            f"Calls: {what}={names!r}: use one or more different names of letters, with spaces, "
            "hyphens or underscores between words"
        )


def _plain(name: str) -> str:
    """One spelling for all: change_size for Change-Size and change  size."""
    return "_".join(re.split(r"[ \t_-]+", name.lower()))


def _named(written: str, names: Iterable[str]) -> str | None:
    plain = _plain(written)
    return next((name for name in names if _plain(name) == plain), None)


def _unknown(written: str, what: str, names: Iterable[str]) -> Parsed:
    names = list(names)
    near = closest(_plain(written[:LONGEST]), names)
    return parse_error(written, f"not {what}.{near} Offered: {', '.join(names)}")


def _unwrapped(text: str) -> str:
    """Without outer white space, a final full stop, and one pair of square brackets."""
    text = spelling.trimmed(spelling.spaced(text)).removesuffix(".").rstrip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
    return text
