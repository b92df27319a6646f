"""The chain of thought: each listed object with its state in the second image.

One entry per object, in the order of the list: its description, then "same" or
the changes, in the order of the answer's calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rft_transformation.language import MOVE, MOVED, NOW, SAME, describe, spaced
from rftcore.parsers import Call

News = frozenset[str]  # changes of one object: new values, and "moved front left"
_DESCRIPTION = 4  # words that describe an object
_DIGITS = 2  # of an object's number; a policy may write endless ones


def reasoning(things: Sequence[Mapping[str, str]], calls: Sequence[Call]) -> str:
    """The chain of thought for the listed objects: "0 small red metal cube: now large." """
    return " ".join(
        f"{number} {describe(thing)}: {_news(number, calls)}."
        for number, thing in enumerate(things)
    )


def _news(number: int, calls: Sequence[Call]) -> str:
    mine = [call for call in calls if call.id == number]
    values = [call.value for call in mine if call.function != MOVE]
    moves = [MOVED.format(direction=spaced(call.value)) for call in mine if call.function == MOVE]
    news = [NOW.format(values=" ".join(values))] * bool(values) + moves
    return ", ".join(news) or SAME


def true_news(count: int, calls: Sequence[Call]) -> list[News]:
    """The right changes of each of `count` objects."""
    return [_read_news(_news(number, calls)) for number in range(count)]


def written_news(text: str) -> list[tuple[int, News]]:
    """The entries of a reasoning: the number of an object, and its written changes."""
    found = []
    for entry in text.split("."):
        head, _, news = entry.rpartition(": ")
        words = head.split()[-_DESCRIPTION - 1 :]
        if len(words) > _DESCRIPTION and words[0].isdecimal() and len(words[0]) <= _DIGITS:
            found.append((int(words[0]), _read_news(news)))
    return found


def _read_news(text: str) -> News:
    now = NOW.partition("{")[0]
    news: set[str] = set()
    for part in text.strip().split(", "):
        news.update(part.removeprefix(now).split() if part.startswith(now) else [part])
    return frozenset(news - {SAME})
