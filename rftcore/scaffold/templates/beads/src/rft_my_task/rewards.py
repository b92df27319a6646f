"""A reward of this task's own: part of the credit for part of the answer."""

import rftcore as rft


def in_place(x: rft.RewardInput) -> float:
    """The share of places that hold the right color, if there are as many as in the gold.

    Without that condition, a list that goes on would earn a share for each lucky place.
    Returns: in [0, 1]; 0 without an answer, 1 for the gold alone.
    """
    if x.answer is None or len(x.answer) != len(x.gold):
        return 0.0
    right: int = sum(ours == gold for ours, gold in zip(x.answer, x.gold, strict=True))
    return right / len(x.gold)
