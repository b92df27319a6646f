"""How much of a step's gradient is signal, from the cosine between gradients of two steps.

A step's gradient is g = s + e: the mean s, and noise e that is independent from step to step.
Two steps share s only, so with q = |s|^2 / E|e|^2 the cosine of their gradients has the mean

    c = |s|^2 / (|s|^2 + E|e|^2) = q / (1 + q)         q = c / (1 - c)

which is also the share of signal in |g|^2. Adding up k times as many rollouts multiplies |s|^2
by k^2 and E|e|^2 by k, hence q by k: the share is k q / (1 + k q), and it is a half with 1 / q
times the rollouts of a step. Two halves of one step have the cosine h = (q / 2) / (1 + q / 2),
so c = 2 h / (1 + h).

This is for a policy that stays where it is. A policy that moves well needs less; Adam, which
divides by the noise of each weight, may need more or less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rftcore.training.signal.steps import Step, known

AGREEMENT, PAIRS = "gradient/agreement", "gradient/pairs"
FEWEST = 8  # lines with a cosine, for an interval
T = 2.3  # quantile of Student's t, 95 %, for 8 degrees of freedom; it is smaller for more


@dataclass(frozen=True)
class Agreement:
    """The mean cosine between the gradients of two steps, with its 95 % interval."""

    cosine: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Agreement | None:
        """Sum up what was measured; None if that is too little for an interval.

        Each line has the mean over `pairs` cosines. Cosines of noise are uncorrelated, so a line
        varies as 1 / pairs:  se^2 = sum(pairs * (cosine - mean)^2) / (lines - 1) / sum(pairs).
        """
        found = [
            (value, pairs)
            for step, value in known(steps, AGREEMENT)
            if (pairs := step.get(PAIRS)) is not None and pairs > 0
        ]
        if len(found) < FEWEST:
            return None
        total = sum(pairs for _, pairs in found)
        center = sum(pairs * value for value, pairs in found) / total
        squares = sum(pairs * (value - center) ** 2 for value, pairs in found)
        half = T * math.sqrt(squares / (len(found) - 1) / total)
        return cls(center, max(-1.0, center - half), min(1.0, center + half), round(total))


def signal_to_noise(cosine: float) -> float:
    """q of a step, from the cosine between two steps: 0 for a negative one."""
    inside = min(max(cosine, 0.0), 1 - 1e-9)
    return inside / (1 - inside)


def signal_share(cosine: float, times: float) -> float:
    """The share of signal in the sum of the gradients of `times` steps."""
    q = times * signal_to_noise(cosine)
    return q / (1 + q)


def rollouts_for_half(cosine: float, rollouts: int) -> float:
    """How many rollouts make half of the gradient signal. rollouts: of one step."""
    q = signal_to_noise(cosine)
    return rollouts / q if q > 0 else math.inf
