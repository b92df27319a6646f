"""The best pairing of an answer's calls with the gold's.

Exact dynamic programming over subsets of the gold's calls: for at most a few of
them it is faster than a general solver, needs no library, and its result depends
neither on the order of the calls nor on Python's hash seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rftcore.parsers import Call

Worth = Callable[[Call, Call], float]  # (call of the answer, call of the gold) -> credit


def best_total(
    answer: Sequence[Call], gold: Sequence[Call], worth: Worth, *, alone: float = 0.0
) -> float:
    """The largest sum of `worth` over pairs that use each call at most once.

        best(i, S) = max of best(i - 1, S) + alone
                     and, over j in S, of best(i - 1, S - j) + worth(i, j)

    A call of the answer without a partner adds `alone`, one of the gold adds 0.
    Time: |answer| |gold| 2^|gold|. Sums of quarters are exact in any order.
    """
    best = {0: 0.0}  # keys: the set of used calls of the gold, as bits
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
