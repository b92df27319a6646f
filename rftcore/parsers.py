"""Turn the text of a completion into an answer, or into the reason why it has none.

Training and evaluation both read answers here, so a reward and a reported
score mean the same thing. Text in, value out: no torch, no files, no logging.
Every parser is total: whatever the text, it returns a `Parsed`.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any

from rftcore import spelling, tags
from rftcore.errors import PluginError, closest
from rftcore.types import Parsed, Parser, ParserFactory

_LONGEST = 40  # characters of an answer, and of what a parse error quotes

# Plain or correctly grouped digits; re.ASCII keeps other scripts' digits out.
_DIGITS = r"(?:\d+|\d{1,3}(?:,\d{3})+)"
_INTEGER = re.compile(rf"(?P<value>[+-]?{_DIGITS})(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(
    rf"(?P<value>[+-]?(?:{_DIGITS}(?:\.\d*)?|\.\d+)(?:e[+-]?\d{{1,3}})?)\.?",
    re.ASCII | re.IGNORECASE,
)
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
_LETTER = re.compile(r"[A-Za-z][.)]?|\([A-Za-z]\)\.?")
_A_LETTER = re.compile(r"[A-Z]|\b[a-z]\b")  # none of "and"
_ONE = r"(?:[A-Za-z][.)]?|\([A-Za-z]\))"
_LETTERS = re.compile(
    rf"[A-Z]{{2,26}}\.?|{_ONE}(?:(?:\s*[,;/&]\s*(?:and\s+)?|\s+and\s+|\s+){_ONE}){{0,25}}\.?"
)


def in_tags(completion: str, read: Callable[[str], Parsed], *, forgiving: bool = False) -> Parsed:
    """Find the answer of a completion and `read` its text.

    The answer is in an answer block after the reasoning, or is all that follows the
    reasoning; what the reasoning contains is never read. Several blocks must agree. Without
    any tag, the whole completion must be the bare answer.

    forgiving: also read an answer that is bold, boxed, in other characters, announced as
    the answer, or a letter with its text: what a model writes that was not trained here.
    """
    try:
        texts = tags.answers(completion)
    except tags.NoAnswerError as reason:
        return Parsed(error=str(reason))
    parsed = [_forgiven(text, read) if forgiving else read(text) for text in texts]
    failed = next((one for one in parsed if not one.ok), None)
    if failed is not None:
        return failed
    if any(one.value != parsed[-1].value for one in parsed):
        return Parsed(error=f"{len(parsed)} answer blocks that differ")
    return parsed[-1]


def _forgiven(text: str, read: Callable[[str], Parsed]) -> Parsed:
    """Read a text as it is, else what a person takes for its answer."""
    strict = read(text)
    if strict.ok:
        return strict
    core = spelling.core(text)
    for other in (core, spelling.leading_letter(core)):
        if other is not None and (parsed := read(other)).ok:
            return parsed
    return strict


def forgiving(parser: Parser) -> Parser:
    """The parser with its option `forgiving`, or one that reads for it in that way."""
    if isinstance(parser, Forgiving) or getattr(parser, "forgiving", None) is True:
        return parser
    if is_dataclass(parser) and any(option.name == "forgiving" for option in fields(parser)):
        made: Parser = replace(parser, forgiving=True)
        return made
    return Forgiving(parser)


@dataclass(frozen=True)
class Forgiving:
    """A parser that reads what `parser` reads, and else what `in_tags` forgives."""

    parser: Parser

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        strict = self.parser.parse(completion)
        if strict.ok:
            return strict
        parsed = in_tags(completion, self.parser.parse, forgiving=True)
        return parsed if parsed.ok else strict

    def gold(self, text: str) -> Parsed:
        """Read a gold, which nothing is forgiven."""
        return self.parser.gold(text)

    def show(self, value: Any) -> str:
        """As the parser shows it."""
        return self.parser.show(value)


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
        match = _match(_INTEGER, text)
        if match is None:
            return _error(text, "not an integer in digits")
        value = int(match["value"].replace(",", ""))
        below = self.low is not None and value < self.low
        if below or (self.high is not None and value > self.high):
            return _error(text, f"outside {_range(self.low, self.high)}")
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
        match = _match(_NUMBER, text)
        if match is None:
            return _error(text, "not a number")
        value = float(match["value"].replace(",", ""))
        return Parsed(value) if math.isfinite(value) else _error(text, "too large")

    def show(self, value: Any) -> str:
        """The shortest digits that read back as the same float."""
        return repr(float(value))


@dataclass(frozen=True)
class Choice:
    """One letter of `letters`: A, a, (A), A) and A. are the same choice.

    With `several`, one or more different letters in any order: AB, "B, A" and "(A) and (B)"
    are the same choice, whose value is AB. Letters side by side are capital: "bad" is a word.
    """

    letters: str = "ABCD"
    several: bool = False
    forgiving: bool = False

    def __post_init__(self) -> None:
        good = re.fullmatch("[A-Z]{2,26}", self.letters) is not None
        if not good or len(set(self.letters)) != len(self.letters):
            raise PluginError(
                f"Choice: letters={self.letters!r}, but choices are two or more different "
                "capital letters, such as 'ABCD'"
            )

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold, forgiving=self.forgiving)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        match = _match(_LETTERS if self.several else _LETTER, text)
        found = [char.upper() for char in _A_LETTER.findall(match[0])] if match else []
        if not found or len(set(found)) < len(found) or not set(found) <= set(self.letters):
            wanted = "one or more different letters" if self.several else "one letter"
            return _error(text, f"not {wanted} of {self.letters}")
        return Parsed("".join(sorted(found)))

    def show(self, value: Any) -> str:
        """The letter or letters."""
        return str(value)


@dataclass(frozen=True)
class Text:
    """The answer's text with normalized white space, for a reward that reads it itself.

    Runs of white space are one space, an accent is part of its letter however it is encoded,
    and zero-width spaces are nothing. `most` is how many characters an answer has at most,
    so that a completion without tags is an answer only if it is short. `ignore_case`
    reads Yes as yes, `ignore_stop` "Yes." as Yes, in answers and golds alike. So does
    `forgiving`, which takes an answer out of its marks: every text is a text, so golds are
    read in the same way.
    """

    most: int = 200
    ignore_case: bool = False
    ignore_stop: bool = False
    forgiving: bool = False

    def __post_init__(self) -> None:
        if self.most < 1:
            raise PluginError(f"Text: most={self.most}: an answer has a character at least")

    def parse(self, completion: str) -> Parsed:
        """Read the answer of a whole completion."""
        return in_tags(completion, self.gold, forgiving=self.forgiving)

    def gold(self, text: str) -> Parsed:
        """Read an answer without tags."""
        text = spelling.core(text) if self.forgiving else spelling.visible(spelling.trimmed(text))
        if self.ignore_stop and text.endswith(".") and not text.endswith(".."):
            text = spelling.trimmed(text[:-1])
        text = " ".join((text.casefold() if self.ignore_case else text).split())
        if not text:
            return Parsed(error="there is no text")
        if spelling.has_half_a_character(text):
            return _error(text, "not text: it contains a lone surrogate")
        if tags.has_tags(text):
            return _error(text, "not only an answer: it contains think or answer tags")
        if len(text) > self.most:
            return _error(text, f"longer than {self.most} characters")
        return Parsed(text)

    def show(self, value: Any) -> str:
        """The text."""
        return str(value)


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
                return _error(text[at:], f"not a call such as {self._example()}")
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
        id_ = int(match["id"]) if len(match["id"]) <= _LONGEST else None
        if id_ is None or not self.low <= id_ <= self.high:
            return _error(match["id"], f"not an object from {self.low} to {self.high}")
        return Call(function, id_, value)

    def _example(self) -> str:
        function, values = next(iter(self.functions.items()))
        return repr(Call(function, self.low, next(iter(values))))


OFFERED: Mapping[str, ParserFactory] = MappingProxyType(
    {"choice": Choice, "integer": Integer, "number": Number, "text": Text}
)


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Match the whole text without outer white space; a long one is never a bare answer.

    The bound keeps hostile text from costing time in the pattern or in int().
    """
    text = spelling.trimmed(text).replace("\u2212", "-")  # the minus sign itself
    return pattern.fullmatch(text) if len(text) <= _LONGEST else None


def _error(text: str, reason: str) -> Parsed:
    text = text.strip()
    shown = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    names = spelling.odd(shown)
    return Parsed(error=f"{shown!r} is {reason}" + (f"; it has {names}" if names else ""))


def _range(low: int | None, high: int | None) -> str:
    if low is None:
        return f"the range up to {high}"
    return f"the range from {low}" if high is None else f"{low}..{high}"


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
    near = closest(_plain(written[:_LONGEST]), names)
    return _error(written, f"not {what}.{near} Offered: {', '.join(names)}")


def _unwrapped(text: str) -> str:
    """Without outer white space, a final full stop, and one pair of square brackets."""
    text = spelling.trimmed(spelling.spaced(text)).removesuffix(".").rstrip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
    return text
