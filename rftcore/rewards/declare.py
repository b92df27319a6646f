"""How a reward says what else it looks at than the answer and the gold."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from rftcore.errors import PluginError, closest
from rftcore.types import Reward, RewardOutput

USABLE = ("completion", "sample", "step", "siblings", "tokens", "sibling_tokens", "correct")

# A reward, or a function that becomes one when its options are filled in.
AnyReward = TypeVar("AnyReward", bound=Callable[..., RewardOutput])


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
