"""How a reward says what else it looks at than the answer and the gold, and that it is slow."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from rftcore.errors import PluginError, closest
from rftcore.types import Reward, RewardOutput

USABLE = ("completion", "sample", "step", "siblings", "tokens", "sibling_tokens", "correct")

# A reward, or a function that becomes one when its options are filled in.
AnyReward = TypeVar("AnyReward", bound=Callable[..., RewardOutput])


def reward(*, uses: Sequence[str] = (), slow: bool = False) -> Callable[[AnyReward], AnyReward]:
    """Declare which optional fields of `RewardInput` a reward reads; the others stay None.

    slow: a call takes long enough (a hundredth of a second, say) that several should run
    at once; they do, in worker processes, which must be able to import the reward or to
    make it by its plugin.
    Raises: PluginError for a field that does not exist.
    """
    for name in uses:
        if name not in USABLE:
            raise PluginError(
                f"a reward cannot use {name!r}.{closest(name, USABLE)} Offered: {', '.join(USABLE)}"
            )

    def mark(function: AnyReward) -> AnyReward:
        function.uses = frozenset(uses)  # type: ignore[attr-defined]
        function.slow = slow  # type: ignore[attr-defined]
        return function

    return mark


def uses(function: Reward) -> frozenset[str]:
    """What a reward has declared; nothing if it is not decorated."""
    declared = getattr(function, "uses", None)
    if declared is None and isinstance(function, partial):
        return uses(function.func)
    return frozenset(declared or ())


def is_slow(function: Reward) -> bool:
    """Whether a reward has declared itself slow."""
    if isinstance(function, partial):
        return is_slow(function.func)
    return getattr(function, "slow", False) is True
