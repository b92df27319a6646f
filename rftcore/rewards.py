"""Rewards: pure functions from one completion to one number.

A reward sees the parsed answer and the parsed gold. It sees the completion,
the sample, the step or its siblings only if it says so with `@reward(uses=...)`.
None means "does not apply". Rewards do not log, write or keep state.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from rftcore import markup
from rftcore.errors import PluginError, SampleError, closest
from rftcore.types import Reward, RewardFactory, RewardInput

USABLE = ("completion", "sample", "step", "siblings")

AnyReward = TypeVar("AnyReward", bound=Reward)


def reward(*, uses: Sequence[str] = ()) -> Callable[[AnyReward], AnyReward]:
    """Declare which optional fields of `RewardInput` a reward reads; the others stay None.

    Raises: PluginError for a field that does not exist.
    """
    for name in uses:
        if name not in USABLE:
            raise PluginError(
                f"a reward cannot use {name!r}.{closest(name, USABLE)} Offered: {', '.join(USABLE)}"
            )

    def mark(function: AnyReward) -> AnyReward:
        function.uses = frozenset(uses)  # type: ignore[attr-defined]
        return function

    return mark


def uses(function: Reward) -> frozenset[str]:
    """What a reward has declared; nothing if it is not decorated."""
    declared = getattr(function, "uses", None)
    if declared is None and isinstance(function, partial):
        return uses(function.func)
    return frozenset(declared or ())


def exact(x: RewardInput) -> float:
    """1 if the answer equals the gold, else 0; no answer is a wrong answer."""
    return float(x.answer is not None and x.answer == x.gold)


@reward(uses=("completion",))
def tags(x: RewardInput) -> float:
    """1 for one think block and then one answer block, both with content, else 0.

    Source: arXiv:2503.20752, format reward. Departures: white space around
    the blocks is free; empty, nested and repeated blocks earn nothing.
    """
    return float(x.completion is not None and markup.is_well_formed(x.completion))


def tolerance_score(
    answer: float, gold: float, *, full_within: float = 0.05, zero_beyond: float = 0.20
) -> float:
    """Score a number by its relative error e = |answer - gold| / |gold|.

        r = 1 up to full_within, 0 from zero_beyond, and between them
        r = (1 + cos(pi (e - full_within) / (zero_beyond - full_within))) / 2

    Source: arXiv:2503.20752, mathematical reward; a zero gold, which that
    formula leaves open, wants an exact zero.
    Expects: 0 <= full_within < zero_beyond, which the factory has checked.
    Returns: in [0, 1], no unit; 0.0 for a NaN or infinite answer.
    Raises: SampleError if gold is not finite: bad data, not a bad completion.
    """
    if not math.isfinite(gold):
        raise SampleError(f"gold {gold!r} is not a finite number")
    if not math.isfinite(answer):
        return 0.0
    if gold == 0:  # relative error is undefined
        return float(answer == 0)
    error = abs(answer / gold - 1)  # overflows to infinity where a difference would too
    if error >= zero_beyond:
        return 0.0
    ramp = max(0.0, error - full_within) / (zero_beyond - full_within)
    return (1 + math.cos(math.pi * ramp)) / 2


def tolerance(full_within: float = 0.05, zero_beyond: float = 0.20) -> Reward:
    """A reward for numbers that falls smoothly with the relative error: `tolerance_score`.

    Raises: PluginError unless 0 <= full_within < zero_beyond.
    """
    if not 0 <= full_within < zero_beyond < math.inf:
        raise PluginError(
            f"tolerance: full_within={full_within}, zero_beyond={zero_beyond}, but they are "
            "relative errors with 0 <= full_within < zero_beyond, such as 0.05 and 0.2"
        )
    return partial(_tolerance, full_within=full_within, zero_beyond=zero_beyond)


def _tolerance(x: RewardInput, /, *, full_within: float, zero_beyond: float) -> float:
    if x.answer is None:
        return 0.0
    return tolerance_score(x.answer, x.gold, full_within=full_within, zero_beyond=zero_beyond)


def _exact() -> Reward:
    """1 if the answer equals the gold, else 0."""
    return exact


def _tags() -> Reward:
    """1 for one think block and then one answer block, else 0."""
    return tags


OFFERED: Mapping[str, RewardFactory] = MappingProxyType(
    {"exact": _exact, "tags": _tags, "tolerance": tolerance}
)
