"""Declarations of a reward: the fields it reads, whether it is slow, the golds it cannot use."""

import dis
import inspect
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar, overload

from rftcore.errors import PluginError, RftError, closest
from rftcore.types import Reward, RewardOutput

USABLE = ("completion", "sample", "step", "siblings", "tokens", "sibling_tokens", "correct")

# A reward, or a function that `partial` turns into one.
AnyReward = TypeVar("AnyReward", bound=Callable[..., RewardOutput])

# Parsed gold -> the reason why the reward cannot use it, or None.
GoldCheck = Callable[[Any], str | None]


@overload
def reward(function: AnyReward, /) -> AnyReward: ...


@overload
def reward(
    *, uses: Sequence[str] = (), slow: bool = False, gold_fault: GoldCheck | None = None
) -> Callable[[AnyReward], AnyReward]: ...


def reward(
    function: AnyReward | None = None,
    /,
    *,
    uses: Sequence[str] = (),
    slow: bool = False,
    gold_fault: GoldCheck | None = None,
) -> AnyReward | Callable[[AnyReward], AnyReward]:
    """Declare which optional fields of `RewardInput` a reward reads; the others stay None.

    A decorator, with arguments or without.

    uses: names from `USABLE`.
    slow: calls take about 10 ms or more, so they run in parallel worker processes. A worker
        must be able to import the reward, or to create it through its plugin.
    gold_fault: a pure function from a parsed gold to the reason why the reward cannot use it,
        or None. `rft data check` and every run call it for each sample before a model loads,
        in the process of the run, even if the reward itself runs in a worker.

    Raises: PluginError for a field that does not exist.
    """
    if isinstance(uses, str) or (function is not None and not callable(function)):
        named = uses if isinstance(uses, str) else function
        raise PluginError(f'name the fields that a reward uses in a list: uses=["{named}"]')
    for name in uses:
        if name not in USABLE:
            raise PluginError(
                f"a reward cannot use {name!r}.{closest(name, USABLE)} Offered: {', '.join(USABLE)}"
            )

    def mark(function: AnyReward) -> AnyReward:
        function.uses = frozenset(uses)  # type: ignore[attr-defined]
        function.slow = slow  # type: ignore[attr-defined]
        function.gold_fault = gold_fault  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


def uses(function: Reward) -> frozenset[str]:
    """The fields that a reward declared; empty if it is not decorated."""
    declared = getattr(function, "uses", None)
    if declared is None and isinstance(function, partial):
        return uses(function.func)
    return frozenset(declared or ())


def undeclared(function: Reward) -> tuple[str, ...]:
    """The optional fields of `RewardInput` that the code of a reward reads without declaring them.

    They are always None, so `if x.correct:` never holds. Only a plain function is examined.
    """
    plain: object = inspect.unwrap(function)
    if not inspect.isfunction(plain) or not plain.__code__.co_argcount:
        return ()
    x, read = plain.__code__.co_varnames[0], set()
    for load, step in pairwise(dis.get_instructions(plain)):
        loaded = load.argval[-1] if isinstance(load.argval, tuple) and load.argval else load.argval
        if load.opname.startswith(("LOAD_FAST", "LOAD_DEREF")) and loaded == x:
            read |= {step.argval} if step.opname == "LOAD_ATTR" else set()
    return tuple(name for name in USABLE if name in read - uses(function))


def is_slow(function: Reward) -> bool:
    """Whether a reward is declared slow."""
    if isinstance(function, partial):
        return is_slow(function.func)
    return getattr(function, "slow", False) is True


def gold_fault(function: Reward, gold: Any) -> str | None:
    """The reason why a reward cannot use a parsed gold; None if it can or declares no check.

    Raises: PluginError if the check raises, or returns anything but text or None.
    """
    if isinstance(function, partial):
        return gold_fault(function.func, gold)
    check: GoldCheck | None = getattr(function, "gold_fault", None)
    if check is None:
        return None
    try:
        fault = check(gold)
    except RftError:
        raise
    except Exception as error:
        raise PluginError(
            f"the gold check of a reward raised {type(error).__name__}: {error} on gold {gold!r}; "
            "it must return a reason or None"
        ) from error
    if fault is not None and not (isinstance(fault, str) and fault):
        raise PluginError(
            f"the gold check of a reward returned {fault!r} for gold {gold!r}; it must return "
            "a reason, as text, or None"
        )
    return fault
