"""The advantage of each rollout, from the totals of its group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from statistics import fmean, stdev
from typing import Any

from rftcore.completions import ScoredCompletion

EPSILON = 1e-4  # TRL's, beside the standard deviation
SCALES: Mapping[Any, str] = {True: "group", False: "none"}  # older values of `scale_rewards`
RULES: Mapping[str, str] = {
    "group": "(total - mean of the group) / (standard deviation of the group + 0.0001)",
    "none": "total - mean of the group",
    "batch": "total - mean of the group, here without the standard deviation of the batch, by "
    "which training divided it: only part of a batch is kept",
    "unknown": "not shown: with grpo.multi_objective_aggregation=normalize_then_sum it depends on "
    "the whole batch",
}


def scale_of(grpo: Mapping[str, Any]) -> str:
    """By what a run's advantages are divided: a key of `RULES`. grpo: that section of its recipe.

    Without a setting it is TRL's default, "group".
    """
    if grpo.get("multi_objective_aggregation", "sum_then_normalize") != "sum_then_normalize":
        return "unknown"
    scale = grpo.get("scale_rewards", "group")
    found = SCALES[scale] if isinstance(scale, bool) else str(scale)
    return found if found in RULES else "unknown"


def advantages(totals: Sequence[float | None], scale: str) -> list[float | None]:
    """The advantages of a whole group, in its order.

        A_i = (R_i - mean(R)) / (std(R) + 1e-4)        scale "group"
        A_i =  R_i - mean(R)                           scale "none" and "batch"

    with the mean and the standard deviation (of n - 1) over the known totals; 0 for a completion
    without a total, as in TRL. None for each if the scale is "unknown".
    """
    known = [total for total in totals if total is not None]
    if scale == "unknown":
        return [None] * len(totals)
    if len(known) < 2:
        return [0.0] * len(totals)
    by = stdev(known) + EPSILON if scale == "group" else 1.0
    mean = fmean(known)
    return [0.0 if total is None else (total - mean) / by for total in totals]


def groups(rollouts: Sequence[ScoredCompletion], size: int) -> Iterator[tuple[list[int], bool]]:
    """The positions of each group's rollouts, and whether the group is whole.

    Completions of one group follow one another. If a sample was drawn twice in a step, its
    completions are two groups of `size`.
    """
    pairs = groupby(range(len(rollouts)), key=lambda at: (rollouts[at].step, rollouts[at].index))
    for _, members in pairs:
        positions = list(members)
        for start in range(0, len(positions), size):
            part = positions[start : start + size]
            yield part, len(part) == size
