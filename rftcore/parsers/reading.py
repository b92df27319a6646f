"""Find the answer of a completion: in its tags, or bare, and for a forgiving parser in marks."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from rftcore import spelling, tags
from rftcore.types import Parsed, Parser

# of any length but three after one to three digits, which are a group of thousands
_DECIMAL_COMMA = re.compile(
    r"(?<![\d.,])(?P<sign>[+-]?)(?![1-9]\d{0,2}(?:,|\{,\})\d{3}(?!\d))"
    r"(?P<whole>\d+|\d{1,3}(?:[. ']\d{3})+)(?:,|\{,\})(?P<part>\d+)(?![\d,.{])",
    re.ASCII,
)
LONGEST = 40  # characters of an answer, and of what a parse error quotes


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


def whole_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Match the whole text without outer white space; a long one is never a bare answer.

    The bound keeps hostile text from costing time in the pattern or in int().
    """
    text = spelling.trimmed(text).replace("\u2212", "-")  # the minus sign itself
    return pattern.fullmatch(text) if len(text) <= LONGEST else None


def number_error(text: str, reason: str) -> Parsed:
    """A parse error of a text that should be a number; it names a decimal comma."""
    comma = _DECIMAL_COMMA.search(text[: 2 * LONGEST])
    if comma is None:
        return parse_error(text, reason)
    number = f"{comma['sign']}{re.sub(r'[^0-9]', '', comma['whole'])}.{comma['part']}"
    return parse_error(
        text, f"{reason}: it has a decimal comma, but commas group thousands: write {number}"
    )


def parse_error(text: str, reason: str) -> Parsed:
    """A parse error that quotes the text and names characters that look like others."""
    text = text.strip()
    shown = text if len(text) <= LONGEST else text[:LONGEST] + "..."
    names = spelling.odd(shown)
    return Parsed(error=f"{shown!r} is {reason}" + (f"; it has {names}" if names else ""))
