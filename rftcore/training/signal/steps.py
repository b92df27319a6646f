"""Means over logged steps, with the number of independent prompts that they rest on.

The completions of a prompt resemble one another, so a share of completions is known less well
than their number suggests. With V the variance between the accuracies of groups,

    n_eff = prompts * p (1 - p) / V,   at least `prompts`, at most `prompts * G`

is the number of independent completions with the same standard error (Kish's effective sample
size). Where V is not logged, n_eff = prompts, which is too few and so reports too little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from rftcore.intervals import Z, difference, wilson


@dataclass(frozen=True)
class Step:
    """One logged line: the last optimizer step in it, its prompts, its numbers."""

    number: int
    prompts: int
    values: Mapping[str, Any]

    def get(self, name: str) -> float | None:
        """A number of the line; None if it is missing or not a number."""
        value = self.values.get(name)
        return None if value is None or math.isnan(value) else float(value)


@dataclass(frozen=True)
class Share:
    """A share, and the number of independent observations that it is worth."""

    value: float
    n: float

    @property
    def counts(self) -> tuple[float, float]:
        """(successes, n), as the intervals take them."""
        return min(self.value, 1.0) * self.n, self.n

    def interval(self, z: float = Z) -> tuple[float, float]:
        """Its Wilson interval."""
        return wilson(*self.counts, z)

    def above(self, other: Share, z: float = Z) -> tuple[float, float]:
        """The interval of this share minus the other."""
        return difference(self.counts, other.counts, z)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{100 * self.value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def known(steps: Sequence[Step], name: str) -> list[tuple[Step, float]]:
    """The steps that have a number, with it."""
    return [(step, value) for step in steps if (value := step.get(name)) is not None]


def mean(steps: Sequence[Step], name: str) -> float | None:
    """The mean of a number over the prompts of all steps that have it."""
    found = known(steps, name)
    total = sum(step.prompts for step, _ in found)
    return sum(step.prompts * value for step, value in found) / total if total else None


def share(steps: Sequence[Step], name: str, most: float = math.inf) -> Share | None:
    """A share of completions or groups, worth one observation per prompt, at most `most`."""
    value = mean(steps, name)
    prompts = sum(step.prompts for step, _ in known(steps, name))
    return None if value is None else Share(value, min(prompts, most))


def accuracy(steps: Sequence[Step], group: int, most: float = math.inf) -> Share | None:
    """The accuracy of the rollouts, with the effective number that its groups' variance gives."""
    plain = share(steps, "accuracy")
    if plain is None:
        return None
    between = mean(steps, "groups/accuracy_variance")
    within = plain.value * (1 - plain.value)
    worth = 1.0 if not between or within <= 0 else within / between
    worth = min(max(worth, 1.0), float(group))
    return Share(plain.value, min(plain.n, most) * worth)


def spread(steps: Sequence[Step], name: str) -> tuple[float, float] | None:
    """The mean over lines of a number and its squared standard error; None below three lines."""
    values = [value for _, value in known(steps, name)]
    if len(values) < 3:
        return None
    return fmean(values), variance(values) / len(values)


def ends(steps: Sequence[Step], most: int) -> tuple[Sequence[Step], Sequence[Step]]:
    """The first and the last steps, `most` each or half of all."""
    size = min(most, len(steps) // 2)
    return steps[:size], steps[len(steps) - size :]


def span(steps: Sequence[Step]) -> str:
    """The steps by number: "steps 1 to 10"."""
    return f"steps {steps[0].number} to {steps[-1].number}"
