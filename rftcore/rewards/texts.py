"""Rewards for the text of a completion: its tags, its steps, its length."""

import re
from collections.abc import Sequence
from functools import partial

from rftcore.errors import PluginError
from rftcore.rewards.declare import reward
from rftcore.tags import ANSWER, THINK, is_well_formed
from rftcore.types import Reward, RewardInput

CAPTIONED = ("summary", "caption", THINK, ANSWER)

_TAG = re.compile(r"<[^<>]*+>")
_MARKER = re.compile(
    r"(?:\s*+(?:(?:step\s++)?\d++[.):](?!\d)|[-*](?!\S)"
    r"|(?:first|second|third|then|next|after that|last|finally)\s*+,))++",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w++")


@reward(uses=("completion",))
def tags(x: RewardInput) -> float:
    """1 for one think block and then one answer block, both with content, else 0.

    Source: arXiv:2503.20752, format reward. Departures: white space around
    the blocks is allowed; empty, nested and repeated blocks earn nothing.
    """
    return float(x.completion is not None and is_well_formed(x.completion))


@reward(uses=("completion",))
def caption_tags(x: RewardInput) -> float:
    """1 for a summary, a caption, a think and an answer block in this order, else 0.

    Source: arXiv:2503.20752, format reward of the caption variant; departures as in `tags`.
    """
    return float(x.completion is not None and is_well_formed(x.completion, CAPTIONED))


def steps(enough: int = 3) -> Reward:
    """A reward for visible steps of reasoning: min(1, `count_steps` / enough).

    Raises: PluginError unless enough is at least 1.
    """
    if enough < 1:
        raise PluginError(f"steps: enough={enough}, but it must be at least 1: use 3, the default")
    return partial(_steps, enough=enough)


@reward(uses=("completion",))
def _steps(x: RewardInput, /, *, enough: int) -> float:
    return min(1.0, count_steps(x.completion or "") / enough)


def count_steps(text: str) -> int:
    """The number of different lines that start as a step and then contain words.

    A step starts with "Step 1:", "1." or "1)", "-" or "*", or a word such as "First,"
    or "Next,". Lines with the same set of words after it are one step, so
    repeating a line, a word or a marker adds nothing.
    Source: arXiv:2503.20752, reasoning-steps reward, which counts the markers alone.
    """
    found = set()
    for line in text.splitlines():
        line = _TAG.sub(" ", line)
        if marker := _MARKER.match(line):
            found.add(frozenset(_WORD.findall(line[marker.end() :].casefold())))
    return len(found - {frozenset()})


def length(from_step: int = 0, ramp_steps: int = 0, only_correct: bool = False) -> Reward:
    """A reward for short completions among those of one prompt, in tokens: `brevity`.

    It grows linearly from 0 at `from_step` to its full size over `ramp_steps` optimizer steps.
    It does not apply before `from_step`, outside training, or, with `only_correct`, to a wrong
    completion. A completion is correct if the task's accuracy term is exactly 1.

    Raises: PluginError for a negative number of steps.
    """
    if from_step < 0 or ramp_steps < 0:
        raise PluginError(
            f"length: from_step={from_step}, ramp_steps={ramp_steps}, but they count "
            "optimizer steps: use 0 or more"
        )
    return partial(_length, from_step=from_step, ramp_steps=ramp_steps, only_correct=only_correct)


@reward(uses=("step", "tokens", "sibling_tokens", "correct"))
def _length(
    x: RewardInput, /, *, from_step: int, ramp_steps: int, only_correct: bool
) -> float | None:
    if x.step is None or x.step < from_step or x.tokens is None or not x.sibling_tokens:
        return None
    if x.correct is None or (only_correct and not x.correct):
        return None
    grown = min(1.0, (x.step - from_step) / ramp_steps) if ramp_steps else 1.0
    return grown * brevity(x.tokens, x.sibling_tokens, correct=x.correct)


def brevity(tokens: int, others: Sequence[int], *, correct: bool) -> float:
    """How short a completion of `tokens` tokens is among the `others` of its group.

        lambda = 1/2 - (tokens - min) / (max - min)      min, max over the whole group
        r      = lambda if correct, else min(0, lambda)

    Source: arXiv:2503.20752, length reward. Departures: the paper multiplies by 0.05 and
    measures characters.
    Returns: in [-1/2, 1/2], no unit; 0.0 if all have the same length.
    """
    low, high = min(tokens, *others), max(tokens, *others)
    if low == high:
        return 0.0
    share = 0.5 - (tokens - low) / (high - low)
    return share if correct else min(0.0, share)
