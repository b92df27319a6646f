"""A reward for this task: partial credit for part of the answer."""

import rftcore as rft


def in_place(x: rft.RewardInput) -> float:
    """The share of positions with the right color, if the list is as long as the gold.

    Without that condition, a longer list would earn a share for each lucky position.
    Returns: in [0, 1]; 0 without an answer, 1 for the gold alone.
    """
    if x.answer is None or len(x.answer) != len(x.gold):
        return 0.0
    right: int = sum(ours == gold for ours, gold in zip(x.answer, x.gold, strict=True))
    return right / len(x.gold)
