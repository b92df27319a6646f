"""What the groups of a batch of rollouts teach: in how many of them do the rewards differ?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from statistics import fmean, variance

from rftcore.scoring import Score


def group_metrics(rows: Sequence[int], scores: Sequence[Score], size: int) -> dict[str, float]:
    """Shares of the groups of a batch, whose completions are next to one another.

    groups/no_signal: all totals are equal, so every advantage is 0. groups/all_right,
    groups/all_wrong: that, and all completions are right, or wrong. groups/accuracy_variance:
    the variance between the groups' accuracies, if there are two. reward_varies/NAME: the term
    differs within the group.

    rows: index of each completion's sample. size: completions of a whole group; others, which
    another process holds in part, are left out.
    """
    groups = list(_whole(rows, scores, size))
    if not groups:
        return {}
    silent = [group for group in groups if not _differ([score.total for score in group])]
    found = {
        "groups/no_signal": len(silent) / len(groups),
        "groups/all_right": _count(silent, True) / len(groups),
        "groups/all_wrong": _count(silent, False) / len(groups),
    }
    means = [fmean(known) for group in groups if (known := _known(group))]
    if len(means) > 1:
        found["groups/accuracy_variance"] = variance(means)
    for name in scores[0].parts:
        varies = [_differ([score.parts[name].value for score in group]) for group in groups]
        found[f"reward_varies/{name}"] = sum(varies) / len(groups)
    return found


def _whole(rows: Sequence[int], scores: Sequence[Score], size: int) -> Iterator[list[Score]]:
    for _, pairs in groupby(zip(rows, scores, strict=True), key=itemgetter(0)):
        group = [score for _, score in pairs]
        if len(group) % size == 0:  # a sample may follow itself
            yield from (group[at : at + size] for at in range(0, len(group), size))


def _known(group: Sequence[Score]) -> list[float]:
    return [float(score.correct) for score in group if score.correct is not None]


def _count(groups: Sequence[Sequence[Score]], correct: bool) -> int:
    return sum(all(score.correct is correct for score in group) for group in groups)


def _differ(values: Sequence[float | None]) -> bool:
    """Whether known values differ, by more than rounding."""
    known = [value for value in values if value is not None]
    return bool(known) and max(known) - min(known) > 1e-9
