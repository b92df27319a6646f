"""A letter of a choice, and any text."""

import re
from dataclasses import dataclass
from typing import Any

from rftcore import spelling, tags
from rftcore.errors import PluginError
from rftcore.parsers.reading import in_tags, parse_error, whole_match
from rftcore.types import Parsed

_LETTER = re.compile(r"[A-Za-z][.)]?|\([A-Za-z]\)\.?")
_A_LETTER = re.compile(r"[A-Z]|\b[a-z]\b")  # none of "and"
_ONE = r"(?:[A-Za-z][.)]?|\([A-Za-z]\))"
_LETTERS = re.compile(
    rf"[A-Z]{{2,26}}\.?|{_ONE}(?:(?:\s*[,;/&]\s*(?:and\s+)?|\s+and\s+|\s+){_ONE}){{0,25}}\.?"
)


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
        match = whole_match(_LETTERS if self.several else _LETTER, text)
        found = [char.upper() for char in _A_LETTER.findall(match[0])] if match else []
        if not found or len(set(found)) < len(found) or not set(found) <= set(self.letters):
            wanted = "one or more different letters" if self.several else "one letter"
            return parse_error(text, f"not {wanted} of {self.letters}")
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
            return parse_error(text, "not text: it contains a lone surrogate")
        if tags.has_tags(text):
            return parse_error(text, "not only an answer: it contains think or answer tags")
        if len(text) > self.most:
            return parse_error(text, f"longer than {self.most} characters")
        return Parsed(text)

    def show(self, value: Any) -> str:
        """The text."""
        return str(value)
