"""The reasoning that finds the calls: each listed object looked up in the second picture.

One entry per object, in the order of the list: what it was, then "same" or
what is different now, in the order in which the answer names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rft_transformation.language import MOVE, MOVED, NOW, SAME, describe, spaced
from rftcore.parsers import Call


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
