"""Rewards for sequences of calls. Paper: arXiv:2503.20752, function-based reward.

An answer is a tuple of `rftcore.parsers.Call`. Each call is paired at
most once, so repeating a call earns nothing and lowers the reward of the others.
The order matters only where the calls are executed on the scene.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from rft_transformation.matching import best_total
from rft_transformation.reasoning import News, true_news, written_news
from rft_transformation.state import Reached, State, compare, from_plain
from rftcore.parsers import Call
from rftcore.rewards import reward
from rftcore.types import RewardInput, Sample


def calls_exact(x: RewardInput) -> float:
    """The share of calls that are fully right, in any order; 1 only if all are, in [0, 1].

        r = |answer and gold| / max(|answer|, |gold|)

    Source: the reward that the paper's released scripts train with. Departure: a repeated
    call counts as a wrong one.
    """
    if x.answer is None:
        return 0.0
    right = Counter(x.answer) & Counter(x.gold)
    return right.total() / max(len(x.answer), len(x.gold))


def calls_partial(x: RewardInput) -> float:
    """Credit for each call that is fully or partly right, in [0, 1].

        r = max over pairings of sum worth / max(|answer|, |gold|)
        worth: 1 the same call; 1/2 function and object, or function and value, agree;
               1/4 the function alone agrees; 0 otherwise

    Source: arXiv:2503.20752, partial credit. Departure: the best pairing; the
    released code pairs greedily, in an order that depends on the hash seed.
    """
    if x.answer is None:
        return 0.0
    return best_total(x.answer, x.gold, _credit) / max(len(x.answer), len(x.gold))


def calls_penalized(x: RewardInput) -> float:
    """As `calls_partial`, but with a penalty for a call that is not fully right, in [-1, 1].

        worth: 1 the same call; -1/4 function and object, or function and value, agree;
               -1/2 the function alone agrees; -1 otherwise, and for a superfluous call

    No penalty for a missing call; -1 without an answer.
    Source: arXiv:2503.20752, penalized variant. Departure: the released code has no penalty
    for a wrong function or for no call, but one for a right function with wrong arguments.
    """
    if x.answer is None:
        return -1.0
    total = best_total(x.answer, x.gold, _penalty, alone=-1.0)
    return total / max(len(x.answer), len(x.gold))


@reward(uses=("sample",))
def state(x: RewardInput) -> float | None:
    """1 if executing the calls ends in the second image's state by valid states; else 0.

    Source: TVR's Acc (an overlap or a position off the plane after any call is wrong).
    Does not apply to a sample without a scene in its `meta`, such as one read from a file.
    """
    if x.sample is None or not _has_scene(x.sample):
        return None
    return float(x.answer is not None and _compare(x.sample, x.answer).valid)


@reward(uses=("sample",))
def state_loose(x: RewardInput) -> float | None:
    """1 if executing the calls ends in the second image's state; else 0. Source: TVR's LAcc."""
    if x.sample is None or not _has_scene(x.sample):
        return None
    return float(x.answer is not None and _compare(x.sample, x.answer).state)


@reward(uses=("sample",))
def state_distance(x: RewardInput) -> float | None:
    """The number of attributes of objects that are wrong after the calls; less is better.

    Without an answer, the difference between start and end. Source: TVR's AD.
    """
    if x.sample is None or not _has_scene(x.sample):
        return None
    return float(_compare(x.sample, x.answer or ()).differences)


@reward(uses=("completion", "sample"))
def process(x: RewardInput) -> float | None:
    """The agreement of the reasoning with the changes of each object, in [0, 1].

        r = (sum of worth / max(entries, objects))^2
        worth of an object's first entry: |written and true| / max(|written|, |true|) of its
              changes (each value, each move), 1 for "same" if there are none;
              0 for further entries and for objects that do not exist

    A process reward, after arXiv:2211.14275. Squared, so that the last error of nearly right
    reasoning costs most. It is independent of the answer.
    Does not apply to a sample without a scene in its `meta`, such as one read from a file.
    """
    if x.sample is None or not _has_scene(x.sample):
        return None
    true = true_news(len(x.sample.meta["start"]), x.gold)
    written = written_news(x.completion or "")
    first: dict[int, News] = {}
    for number, news in written:
        first.setdefault(number, news)
    earned = sum(_agreement(first[i], news) for i, news in enumerate(true) if i in first)
    return (earned / max(len(written), len(true))) ** 2


def _agreement(written: News, true: News) -> float:
    if not written and not true:
        return 1.0
    return len(written & true) / max(len(written), len(true))


def _credit(call: Call, gold: Call) -> float:
    if call.function != gold.function:
        return 0.0
    return (0.25, 0.5, 1.0)[(call.id == gold.id) + (call.value == gold.value)]


def _penalty(call: Call, gold: Call) -> float:
    if call.function != gold.function:
        return -1.0
    return (-0.5, -0.25, 1.0)[(call.id == gold.id) + (call.value == gold.value)]


def _has_scene(sample: Sample) -> bool:
    return {"start", "end"} <= sample.meta.keys()


def _compare(sample: Sample, calls: tuple[Call, ...]) -> Reached:
    start, end = (from_plain(sample.meta[name]) for name in ("start", "end"))
    return _compared(start, calls, end)


@lru_cache(maxsize=4096)  # three rewards compare the same
def _compared(start: State, calls: tuple[Call, ...], end: State) -> Reached:
    return compare(start, calls, end)
