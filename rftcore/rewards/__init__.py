"""Rewards: pure functions from one completion to one number.

A reward receives the parsed answer and the parsed gold. It receives the completion,
the sample, the length in tokens and so on only if it declares them with `@reward(uses=...)`.
None means "does not apply". Rewards do not log, write or keep state.

`answers`, `boxes`, `benchmarks` and `texts` contain the rewards that tasks use, `paper` those of
the paper's released code, bug for bug.
"""

from collections.abc import Mapping
from types import MappingProxyType

from rftcore.rewards import paper
from rftcore.rewards.answers import exact, symbolic, tolerance, tolerance_score
from rftcore.rewards.benchmarks import (
    anls,
    anls_score,
    levenshtein,
    quantity,
    relaxed,
    relaxed_score,
)
from rftcore.rewards.boxes import boxes_score, iou
from rftcore.rewards.declare import gold_fault, is_slow, reward, undeclared, uses
from rftcore.rewards.texts import (
    brevity,
    caption_tags,
    count_steps,
    length,
    steps,
    tags,
)
from rftcore.types import Reward, RewardFactory

__all__ = [
    "OFFERED",
    "anls",
    "anls_score",
    "boxes_score",
    "brevity",
    "caption_tags",
    "count_steps",
    "exact",
    "gold_fault",
    "iou",
    "is_slow",
    "length",
    "levenshtein",
    "paper",
    "quantity",
    "relaxed",
    "relaxed_score",
    "reward",
    "steps",
    "symbolic",
    "tags",
    "tolerance",
    "tolerance_score",
    "undeclared",
    "uses",
]


def _exact() -> Reward:
    """1 if the answer equals the gold, else 0."""
    return exact


def _tags() -> Reward:
    """1 for one think block and then one answer block, else 0."""
    return tags


def _caption_tags() -> Reward:
    """1 for a summary, a caption, a think and an answer block in this order, else 0."""
    return caption_tags


OFFERED: Mapping[str, RewardFactory] = MappingProxyType(
    {
        "anls": anls,
        "caption_tags": _caption_tags,
        "exact": _exact,
        "iou": iou,
        "length": length,
        "paper": paper.reward,
        "quantity": quantity,
        "relaxed": relaxed,
        "steps": steps,
        "symbolic": symbolic,
        "tags": _tags,
        "tolerance": tolerance,
    }
)
