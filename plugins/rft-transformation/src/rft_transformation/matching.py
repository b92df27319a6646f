"""The best pairing of an answer's calls with the gold's.

An exact dynamic programme over subsets of the gold's calls: with at most a
handful of them it is faster than a general solver, needs no library, and its
result depends neither on the order of the calls nor on Python's hash seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rftcore.parsers import Call

Worth = Callable[[Call, Call], float]  # of an answer's call beside one of the gold's


def best_total(
    answer: Sequence[Call], gold: Sequence[Call], worth: Worth, *, alone: float = 0.0
) -> float:
    """The largest sum of `worth` over pairs that use each call at most once.

        best(i, S) = max of best(i - 1, S) + alone
                     and, over j in S, of best(i - 1, S - j) + worth(i, j)

    `alone` is what a call of the answer adds without a partner; one of the gold adds 0.
    Time: |answer| |gold| 2^|gold|. Sums of quarters are exact, whatever their order.
    """
    best = {0: 0.0}  # by the set of the gold's calls that are taken, as bits
    for call in answer:
        rewards = [worth(call, other) for other in gold]
        after: dict[int, float] = {}
        for taken, total in best.items():
            _raise(after, taken, total + alone)
            for at, reward in enumerate(rewards):
                if not taken >> at & 1:
                    _raise(after, taken | 1 << at, total + reward)
        best = after
    return max(best.values())


def _raise(table: dict[int, float], key: int, value: float) -> None:
    table[key] = max(value, table.get(key, value))
