"""The released code's rewards of the form of a completion: its blocks, steps and length."""

import re
from collections.abc import Sequence
from itertools import pairwise

from rftcore.errors import SampleError
from rftcore.rewards.paper.answers import is_right
from rftcore.rewards.paper.texts import text_of

_STEP = re.compile(r"Step \d+:|\A\d+\.|\n[-*]|First,|Second,|Next,|Finally,")


def format_reward(completion: object, solution: object = None, **_columns: object) -> float:
    """1 if the whole text is a think and an answer block, with any contents."""
    return _is_blocks(completion, ("think", "answer"))


def caption_format_reward(completion: object, solution: object = None, **_columns: object) -> float:
    """1 if the whole text is a summary, a caption, a think and an answer block."""
    return _is_blocks(completion, ("summary", "caption", "think", "answer"))


def reasoning_steps_reward(
    completion: object, solution: object = None, **_columns: object
) -> float:
    """min(1, n / 3) for n markers of a step, anywhere in the text."""
    return min(1.0, len(_STEP.findall(text_of(completion, "completion"))) / 3)


def len_reward(
    completion: Sequence[object],
    solution: Sequence[object],
    current_step: object = None,
    **_columns: object,
) -> list[float]:
    """Up to 0.025 for short correct completions, down to -0.025 for long ones; 0 before step 800.

    lambda = 1/2 - (len - min) / (max - min), in characters; 0.05 lambda if
    correct, else 0.05 min(0, lambda).
    """
    if not isinstance(current_step, int | float):
        raise SampleError(f"len_reward needs current_step, a number, not {current_step!r}")
    texts = [text_of(one, "completion") for one in completion]
    lengths = [len(text) for text in texts]
    if current_step < 800 or len(set(lengths)) < 2:
        return [0.0] * len(lengths)
    low, high = min(lengths), max(lengths)
    shares = [0.5 - (length - low) / (high - low) for length in lengths]
    truths = [text_of(one, "solution") for one in solution]
    return [
        0.05 * (share if is_right(text, truth) else min(0.0, share))
        for text, truth, share in zip(texts, truths, shares, strict=True)
    ]


def _is_blocks(completion: object, names: Sequence[str]) -> float:
    return float(_blocks(*names).fullmatch(text_of(completion, "completion")) is not None)


def _blocks(*names: str) -> re.Pattern[str]:
    """Lazy blocks with white space between them, in linear time.

    Each pair of tags between blocks is matched at its first place: a later place would
    never make the rest match, so this accepts the same texts as lazy blocks do.
    """
    between = [f"(?>.*?</{a}>\\s*+<{b}>)" for a, b in pairwise(names)]
    return re.compile(f"<{names[0]}>{''.join(between)}.*</{names[-1]}>", re.DOTALL)
