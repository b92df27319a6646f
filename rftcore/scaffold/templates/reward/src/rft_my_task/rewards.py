"""Part of the credit for a number that is nearly right."""

from functools import partial

import rftcore as rft


def near(zero_beyond: int = 3) -> "partial[float]":
    """A reward that falls evenly with the distance to the gold: `nearness`.

    The arguments are the reward's options: `--set rewards.near.options.zero_beyond=5`.
    Raises: RftError unless zero_beyond is 1 or more.
    """
    if zero_beyond < 1:
        raise rft.RftError(f"zero_beyond={zero_beyond}: use 1 or more")
    return partial(nearness, zero_beyond=zero_beyond)


def nearness(x: rft.RewardInput, /, *, zero_beyond: int) -> float:
    """1 for the gold, 0 from `zero_beyond` away, and evenly between them.

        r = max(0, 1 - |answer - gold| / zero_beyond)

    Expects numbers. Returns: in [0, 1]; 0 without an answer.
    Do not catch exceptions to return 0: a reward that is broken must be seen to be.
    """
    if x.answer is None:
        return 0.0
    distance: float = abs(x.answer - x.gold)
    return max(0.0, 1 - distance / zero_beyond)
