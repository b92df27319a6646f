"""A process reward: whether the reasoning describes the scene correctly.

Whether the answer is right is little feedback on the sixty tokens before it. The
scene is known, so each step of the list can be scored too.
"""

from collections.abc import Sequence

from rft_counting.language import LIST_OPENS
from rftcore.rewards import reward
from rftcore.types import RewardInput

Step = tuple[str, ...]


@reward(uses=("completion", "sample"))
def process(x: RewardInput) -> float | None:
    """The agreement of the listed objects and their marks with the scene, in [0, 1].

        r = (sum of worth / max(|written|, |true|))^2
        worth: the share of words (size, color, material, shape, mark) that agree,
               summed over the best pairing that keeps the order

    Squared, so that the last error of a nearly right list costs most.
    0 without a list; None for a sample without steps (`meta["steps"]`).
    """
    if x.sample is None or "steps" not in x.sample.meta:
        return None
    true = [tuple(step.split()) for step in x.sample.meta["steps"]]
    written = written_steps(x.completion or "")
    share: float = _agreement(written, true) / max(len(written), len(true))
    return share**2


def written_steps(text: str) -> list[Step]:
    """The words of each entry of the last list in a text; empty if there is no list."""
    _, opened, after = text.rpartition(LIST_OPENS)
    return [tuple(entry.split()) for entry in after.split(".")[0].split(",")] if opened else []


def _agreement(written: Sequence[Step], true: Sequence[Step]) -> float:
    """The largest sum of `_worth` over pairs in order (a weighted longest common subsequence)."""
    best = [0.0] * (len(true) + 1)
    for entry in written:
        row = [0.0]
        for at, step in enumerate(true):
            row.append(max(best[at] + _worth(entry, step), best[at + 1], row[at]))
        best = row
    return best[-1]


def _worth(entry: Step, step: Step) -> float:
    if len(entry) != len(step):
        return 0.0
    return sum(a == b for a, b in zip(entry, step, strict=True)) / len(step)
