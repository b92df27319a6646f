"""The reasoning that finds the calls: each listed object looked up in the second picture.

One entry per object, in the order of the list: what it was, then "same" or
what is different now, in the order in which the answer names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rft_transformation.language import MOVE, MOVED, NOW, SAME, describe, spaced
from rftcore.parsers import Call

News = frozenset[str]  # of one object: each new value, and "moved front left"
_LOOKS = 4  # words that describe an object
_DIGITS = 2  # of an object's number, at most: longer ones are none, and could be endless


def reasoning(things: Sequence[Mapping[str, str]], calls: Sequence[Call]) -> str:
    """The chain of thought for the listed objects: "0 small red metal cube: now large." """
    return " ".join(
        f"{number} {describe(thing)}: {_news(number, calls)}."
        for number, thing in enumerate(things)
    )


def _news(number: int, calls: Sequence[Call]) -> str:
    mine = [call for call in calls if call.id == number]
    values = [call.value for call in mine if call.function != MOVE]
    ways = [MOVED.format(direction=spaced(call.value)) for call in mine if call.function == MOVE]
    news = [NOW.format(values=" ".join(values))] * bool(values) + ways
    return ", ".join(news) or SAME


def true_news(count: int, calls: Sequence[Call]) -> list[News]:
    """What the reasoning should say of each of `count` objects."""
    return [_read_news(_news(number, calls)) for number in range(count)]


def written_news(text: str) -> list[tuple[int, News]]:
    """The entries of a reasoning: the number of an object, and what is said to be new about it."""
    found = []
    for entry in text.split("."):
        looks, _, news = entry.rpartition(": ")
        words = looks.split()[-_LOOKS - 1 :]
        if len(words) > _LOOKS and words[0].isdecimal() and len(words[0]) <= _DIGITS:
            found.append((int(words[0]), _read_news(news)))
    return found


def _read_news(text: str) -> News:
    now = NOW.partition("{")[0]
    news: set[str] = set()
    for part in text.strip().split(", "):
        news.update(part.removeprefix(now).split() if part.startswith(now) else [part])
    return frozenset(news - {SAME})
