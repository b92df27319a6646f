"""What a rule can see of a question: its words, its template, its numbers and its choices."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

NUMBER, NAME = "#", "@"  # in a template
PLACES = 8  # words and numbers from either end of a question that may be its answer
STARTS = 8  # places that are tried as the first choice, from the end of a question

_DIGITS = r"\d+(?:,\d{3})*(?:\.\d+)?"
# a script without spaces is read by characters, whose pairs are then words
_WORD = re.compile(
    rf"{_DIGITS}|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_]+(?:['\u2019][^\W\d_]+)*"
)
_LABEL = re.compile(
    r"(?<![\w'\u2019-])(?P<open>[(\[]?)(?P<letter>[A-Ja-j])(?P<close>[)\].:]?)(?:(?<=[)\]:.])|(?=\s))\s*"
)
_SENTENCE_ENDS = ".?!:"


@dataclass(frozen=True)
class Choice:
    """One of the answers that a question lists."""

    label: str
    text: str

    @property
    def number(self) -> float | None:
        """The number that it begins with."""
        found = re.match(rf"-?{_DIGITS}", self.text)
        return _value(found[0]) if found else None


@dataclass(frozen=True)
class Question:
    """The text that a prompt shows of a sample."""

    text: str

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """The listed answers, such as those of "A 45, B 65"; () if there are fewer than two."""
        return self._listed[1]

    @cached_property
    def template(self) -> str:
        """The text before the choices, with a mark for each number and name."""
        return " ".join(_masked(self._stem))

    @cached_property
    def features(self) -> frozenset[Hashable]:
        """The words of the text, and the pairs of adjacent ones, with its start and its end."""
        words = ["", *(word.lower() for word in _WORD.findall(self.text)), ""]
        return frozenset((*words[1:-1], *pairwise(words)))

    @cached_property
    def named(self) -> Mapping[str, str]:
        """The words and numbers of the question that may be its answer, by their place."""
        words = _WORD.findall(self._stem)
        numbers = [word for word in words if word[0].isdecimal()]
        found = {**_by_place(words, "word"), **_by_place(numbers, "number")}
        if numbers:
            found |= {"the smallest number": min(numbers, key=_value)}
            found |= {"the largest number": max(numbers, key=_value)}
        return found

    @cached_property
    def _stem(self) -> str:
        return self.text[: self._listed[0]]

    @cached_property
    def _listed(self) -> tuple[int, tuple[Choice, ...]]:
        """Where the choices start, and the choices."""
        labels = [m for m in _LABEL.finditer(self.text) if m["close"] or m["letter"].isupper()]
        firsts = [at for at, label in enumerate(labels) if label["letter"] in "Aa"]
        for first in reversed(firsts[-STARTS:]):
            run = [labels[first]]
            for label in labels[first + 1 :]:
                if _follows(label, run[-1]):
                    run.append(label)
            ends = [*(label.start() for label in run[1:]), len(self.text)]
            texts = [_line(self.text[m.end() : end]) for m, end in zip(run, ends, strict=True)]
            if len(run) > 1 and all(texts):
                found = zip(run, texts, strict=True)
                return run[0].start(), tuple(Choice(m["letter"], text) for m, text in found)
        return len(self.text), ()


def ranked(choices: tuple[Choice, ...]) -> dict[str, Choice]:
    """Choices by what distinguishes them without the image: place, length and size."""
    found = {f"the {_ordinal(at)}": choice for at, choice in enumerate(choices)}
    if not choices:
        return found
    found |= {"the last": choices[-1]}
    found |= {"the longest": max(choices, key=lambda c: len(c.text))}
    found |= {"the shortest": min(choices, key=lambda c: len(c.text))}
    numbers = [choice.number for choice in choices]
    if None not in numbers:
        rising = sorted(choices, key=lambda c: c.number or 0.0)
        for at in range((len(rising) + 1) // 2):
            rank = f"{_ordinal(at)} " * (at > 0)
            found |= {f"the {rank}smallest": rising[at]}
            found |= {f"the {rank}largest": rising[-1 - at]}
    return found


def _by_place(words: list[str], kind: str) -> dict[str, str]:
    """The first and the last of these words."""
    some = range(min(PLACES, len(words)))
    first = {f"the {_ordinal(at)} {kind}": words[at] for at in some}
    last = {f"the {f'{_ordinal(at)} ' * (at > 0)}last {kind}": words[-1 - at] for at in some}
    return first | last


def _ordinal(at: int) -> str:
    names = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
    return names[at] if at < len(names) else f"{at + 1}th"


def _masked(text: str) -> list[str]:
    """The words of a text in lower case, with marks for numbers and names.

    A name is a single capital letter, or a word with one that does not begin a sentence.
    """
    found = []
    for match in _WORD.finditer(text):
        word, before = match[0], text[max(0, match.start() - 4) : match.start()].rstrip()[-1:]
        begins = not before or before in _SENTENCE_ENDS
        is_name = word[0].isupper() and (len(word) == 1 or not begins)
        found.append(NUMBER if word[0].isdecimal() else NAME if is_name else word.lower())
    return found


def _follows(label: re.Match[str], before: re.Match[str]) -> bool:
    """Whether a label is the next after `before`, in the same form."""
    same = all(label[part] == before[part] for part in ("open", "close"))
    return same and ord(label["letter"]) == ord(before["letter"]) + 1


def _line(text: str) -> str:
    """The first line of a choice, without the separator behind it."""
    return text.strip().partition("\n")[0].strip(" \t,;.")


def _value(number: str) -> float:
    return float(number.replace(",", ""))
