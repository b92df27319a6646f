"""Rewards for the answer: equal to the gold, close to it, or the same expression."""

import math
from functools import partial
from typing import Any

from rftcore.errors import PluginError, SampleError
from rftcore.rewards import maths
from rftcore.rewards.declare import reward
from rftcore.types import Reward, RewardInput


def exact(x: RewardInput) -> float:
    """1 if the answer equals the gold, else 0; also 0 for an unparsed completion."""
    return float(x.answer is not None and x.answer == x.gold)


def tolerance_score(
    answer: float, gold: float, *, full_within: float = 0.05, zero_beyond: float = 0.20
) -> float:
    """Score a number by its relative error e = |answer - gold| / |gold|.

        r = 1 up to full_within, 0 from zero_beyond, and between them
        r = (1 + cos(pi (e - full_within) / (zero_beyond - full_within))) / 2

    Source: arXiv:2503.20752, mathematical reward; for a zero gold,
    where that formula is undefined, only an exact zero scores 1.
    Requires: 0 <= full_within < zero_beyond, which the factory checks.
    Returns: in [0, 1], no unit; 0.0 for a NaN or infinite answer.
    Raises: SampleError if gold is not finite, which is a fault of the data.
    """
    if fault := _number_fault(gold):
        raise SampleError(fault)
    if not _is_finite(answer):
        return 0.0
    if gold == 0:  # relative error is undefined
        return float(answer == 0)
    error = abs(answer / gold - 1)  # answer - gold could overflow where the quotient does not
    if error >= zero_beyond:
        return 0.0
    ramp = max(0.0, error - full_within) / (zero_beyond - full_within)
    return (1 + math.cos(math.pi * ramp)) / 2


def tolerance(full_within: float = 0.05, zero_beyond: float = 0.20) -> Reward:
    """A reward for numbers that decreases smoothly with the relative error: `tolerance_score`.

    Raises: PluginError unless 0 <= full_within < zero_beyond.
    """
    if not 0 <= full_within < zero_beyond < math.inf:
        raise PluginError(
            f"tolerance: full_within={full_within}, zero_beyond={zero_beyond}, but they are "
            "relative errors with 0 <= full_within < zero_beyond, such as 0.05 and 0.2"
        )
    return partial(_tolerance, full_within=full_within, zero_beyond=zero_beyond)


def _number_fault(gold: Any) -> str | None:
    return None if _is_finite(gold) else f"gold {gold!r} is not a finite number"


def _is_finite(value: Any) -> bool:
    """Whether a value is a number in the range of a float."""
    try:
        return math.isfinite(value)
    except (TypeError, ValueError, OverflowError):
        return False


@reward(gold_fault=_number_fault)
def _tolerance(x: RewardInput, /, *, full_within: float, zero_beyond: float) -> float:
    if x.answer is None:
        return 0.0
    return tolerance_score(x.answer, x.gold, full_within=full_within, zero_beyond=zero_beyond)


def symbolic() -> Reward:
    """1 if answer and gold are the same expression in LaTeX or plain notation, else 0.

    Raises: PluginError if math-verify is not installed.
    """
    maths.require()
    return _symbolic


@reward(gold_fault=lambda gold: maths.gold_fault(str(gold)))
def _symbolic(x: RewardInput) -> float:
    """The whole answer must be one expression: prose that contains the gold earns nothing.

    Raises: SampleError for a gold that is not one answer, TimeoutError past the deadline.
    """
    if x.answer is None:
        return 0.0
    if x.answer == x.gold:
        return 1.0
    return float(maths.same_expression(str(x.gold), str(x.answer)))
