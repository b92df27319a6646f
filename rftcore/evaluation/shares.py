"""Statistics of scored completions: shares by group, pass@k and majority votes.

Text and numbers in, numbers out: no model, no files.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import comb
from typing import Any

from rftcore.completions import ScoredCompletion
from rftcore.evaluation.scores import Mean, Sampled, Share, SplitScore
from rftcore.intervals import Z, wilson
from rftcore.types import Task

MOST_GROUPS = 24  # of one key that a table has a row for; the rest are one group
REQUEST = "request"  # the note of a completion that an endpoint did not give
NONE, OTHER = "none", "other"


def share(correct: Iterable[bool | None]) -> Share:
    """The share of True with its 95 % Wilson interval; None is neither."""
    known = [each for each in correct if each is not None]
    if not known:
        return Share(0, None, None, None)
    right = sum(known)
    return Share(len(known), right / len(known), *wilson(right, len(known)))


def mean(values: Iterable[float | None]) -> Mean:
    """The mean with its 95 % interval, mean +- z * s / sqrt(n), s with n - 1; None has no part.

    Of fewer than two values the interval is None.
    """
    known = [value for value in values if value is not None]
    n = len(known)
    if n == 0:
        return Mean(0, None, None, None)
    center = math.fsum(known) / n
    if n == 1:
        return Mean(1, center, None, None)
    spread = math.sqrt(math.fsum((value - center) ** 2 for value in known) / (n - 1))
    half = Z * spread / math.sqrt(n)
    return Mean(n, center, center - half, center + half)


def by_group(
    answered: Sequence[ScoredCompletion], keys: Sequence[str]
) -> dict[str, dict[str, Share]]:
    """The accuracy within each value of each key of `meta`.

    A list or mapping counts by its length. Values are sorted as numbers if all are numbers;
    samples without the key are the group "none", the rarest of more than `MOST_GROUPS` "other".
    """
    return {key: _groups(answered, key) for key in keys}


def _groups(answered: Sequence[ScoredCompletion], key: str) -> dict[str, Share]:
    names = [group_of(each.meta, key) for each in answered]
    sizes = Counter(names).most_common()
    kept = {name for name, _ in sizes[:MOST_GROUPS]}
    found: dict[str, list[bool | None]] = {}
    for name, each in zip(names, answered, strict=True):
        found.setdefault(name if name in kept else OTHER, []).append(each.correct)
    return {name: share(found[name]) for name in sorted(found, key=group_order)}


def group_of(meta: Mapping[str, Any], key: str) -> str:
    """The group of a sample by a key of its `meta`."""
    value = meta.get(key)
    if value is None:
        return NONE
    if isinstance(value, list | tuple | Mapping):
        return str(len(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)[:40]


def group_order(name: str) -> tuple[int, float, str]:
    """A key to sort groups by: numbers first, by value; then names; what has no group last."""
    if name in (NONE, OTHER):
        return 2, 0.0, name
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name


def pass_at(k: int, n: int, right: int) -> float:
    """The probability that at least one of k completions is right, from n of which some are.

        pass@k = 1 - C(n - right, k) / C(n, k)

    This is unbiased for k completions drawn without replacement from the n. Source: Chen et al.
    2021, arXiv:2107.03374.
    Expects: 1 <= k <= n, 0 <= right <= n.
    """
    return 1.0 - comb(n - right, k) / comb(n, k)


def sampled(answered: Sequence[ScoredCompletion]) -> Sampled | None:
    """Sum up several completions per question, which follow one another; None without any.

    Completions that were not scored have no part; a question with none that was is left out.
    """
    questions = [
        [each for each in group if each.correct is not None]
        for _, group in groupby(answered, key=lambda each: each.index)
    ]
    questions = [group for group in questions if group]
    if not questions:
        return None
    rights = [sum(bool(each.correct) for each in group) for group in questions]
    sizes = [len(group) for group in questions]
    most = min(sizes)
    ks = sorted({1, most, *(2**i for i in range(1, most.bit_length()) if 2**i <= most)})
    return Sampled(
        k=max(sizes),
        accuracy=_share_of_means([r / n for r, n in zip(rights, sizes, strict=True)]),
        pass_at={
            str(k): math.fsum(pass_at(k, n, r) for r, n in zip(rights, sizes, strict=True))
            / len(questions)
            for k in ks
        },
        majority=share(majority(group) for group in questions),
    )


def _share_of_means(shares: Sequence[float]) -> Share:
    """The mean of one share per question, with the Wilson interval of as many questions.

    A share varies less than a single answer of the same mean, so the interval is not too narrow.
    """
    n, total = len(shares), math.fsum(shares)
    return Share(n, total / n, *wilson(total, n))


def majority(group: Sequence[ScoredCompletion]) -> bool:
    """Whether the answer that most completions of a question give is right.

    Completions without an answer have no vote; of equally frequent answers, the one that was
    given first counts. Without any answer it is wrong.
    """
    votes = Counter(each.answer for each in group if each.answer is not None)
    if not votes:
        return False
    chosen = votes.most_common(1)[0][0]  # of equal counts, the first that was met
    return next(bool(each.correct) for each in group if each.answer == chosen)


def split_score(
    split: str,
    prompt: str,
    answered: Sequence[ScoredCompletion],
    *,
    of: Task | None = None,
    parser: str = "strict",
) -> SplitScore:
    """Sum up one split, whose answers a "strict" or "forgiving" parser has read.

    of: the task, for the names of its accuracy term, groups and metrics. What a failed call did
    not decide is neither right nor wrong: it is counted separately.
    """
    known = [a.correct for a in answered if a.correct is not None]
    low, high = wilson(sum(known), len(known)) if known else (None, None)
    names = answered[0].rewards if answered else {}
    failures = {name: sum(name in a.failures for a in answered) for name in names}
    failed = failures.get(of.accuracy if of else "accuracy", 0)
    return SplitScore(
        split=split,
        prompt=prompt,
        n=len(known),
        accuracy=sum(known) / len(known) if known else None,
        low=low,
        high=high,
        unparsed=_share(answered, lambda a: a.parse_error is not None),
        clipped=_share(answered, lambda a: bool(a.clipped)),
        tokens=_share(answered, lambda a: a.tokens or 0),
        rewards={name: _mean_reward(answered, name) for name in names},
        parser=parser,
        failed=failed,
        not_applicable=len(answered) - len(known) - failed,
        failures={name: count for name, count in failures.items() if count},
        errors=sum(REQUEST in a.notes for a in answered),
        groups=by_group(answered, of.groups) if of else {},
        metrics={m: mean(a.rewards.get(m) for a in answered) for m in of.metrics} if of else {},
    )


def _share(answered: Sequence[ScoredCompletion], of: Callable[[ScoredCompletion], float]) -> float:
    return sum(of(a) for a in answered) / len(answered) if answered else math.nan


def _mean_reward(answered: Sequence[ScoredCompletion], name: str) -> float | None:
    values = [a.rewards[name] for a in answered]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
