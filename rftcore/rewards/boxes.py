"""Rewards for boxes: how far they overlap with the gold ones."""

from functools import partial
from typing import Any

from rftcore import boxes
from rftcore.boxes import Box
from rftcore.errors import PluginError, SampleError
from rftcore.rewards.declare import reward
from rftcore.types import Reward, RewardInput


def boxes_score(
    answer: tuple[Box, ...], gold: tuple[Box, ...], *, threshold: float | None = None
) -> float:
    """Score boxes by their overlap with the gold ones, matched one to one.

        r = max over matchings of sum IoU(a, g) / max(|answer|, |gold|)

    With a threshold, a pair counts 1 if its IoU is at least that, else 0. The matching is
    optimal. Missing and surplus boxes both lower the score, so more guesses do not pay. For one
    box each it is their IoU, or 1 from the threshold on.

    Returns: in [0, 1], no unit; symmetric; 1.0 if both are empty, 0.0 if one is.
    """
    if not answer and not gold:
        return 1.0
    overlaps = [[boxes.iou(one, other) for other in gold] for one in answer]
    if threshold is not None:
        overlaps = [[float(overlap >= threshold) for overlap in row] for row in overlaps]
    return min(1.0, boxes.matching(overlaps) / max(len(answer), len(gold)))


def iou(threshold: float | None = None) -> Reward:
    """The overlap of boxes with the gold ones, for the parser `boxes`: `boxes_score`.

    With a threshold such as 0.5, the share of boxes that are found: an accuracy.

    Raises: PluginError unless 0 < threshold <= 1.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise PluginError(f"iou: threshold={threshold}, but IoU is above 0 and at most 1: use 0.5")
    return partial(_iou, threshold=threshold)


def _boxes_fault(gold: Any) -> str | None:
    if isinstance(gold, tuple) and all(isinstance(box, Box) for box in gold):
        return None
    return f"gold {gold!r:.60} is not a tuple of boxes: use the parser boxes"


@reward(gold_fault=_boxes_fault)
def _iou(x: RewardInput, /, *, threshold: float | None) -> float:
    if fault := _boxes_fault(x.gold):
        raise SampleError(fault)
    return 0.0 if x.answer is None else boxes_score(x.answer, x.gold, threshold=threshold)
