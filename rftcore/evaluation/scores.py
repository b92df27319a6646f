"""What an evaluation measures: scores of splits and suites, and gains between stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SplitScore:
    """How a policy did on one split, with its 95 % Wilson interval.

    `prompt` is the name of the prompt: "reason" (the task's prompt) or "direct".
    `n` samples were scored: `accuracy`, `low` and `high` are shares of them, None if
    there are none. Not among them are those whose accuracy term `failed`, and those to
    which it was `not_applicable`. `unparsed` (no answer could be read) and `clipped` (ran
    into the token limit) are shares of all samples; `tokens` is the mean length of a
    completion; `rewards` the mean of each term over the calls that gave a value, None if
    none did; `failures` counts the calls of a term that failed, if any did. `parser` is how
    its answers were read: "strict", or "forgiving" as of a model that never saw the tags.
    """

    split: str
    prompt: str
    n: int
    accuracy: float | None
    low: float | None
    high: float | None
    unparsed: float
    clipped: float
    tokens: float
    rewards: Mapping[str, float | None] = field(default_factory=dict)
    parser: str = "strict"
    failed: int = 0
    not_applicable: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def unscored(self) -> int:
        """How many samples have no place in the accuracy."""
        return self.failed + self.not_applicable


@dataclass(frozen=True)
class Gain:
    """How much the accuracy on one split changed from one stage to the next.

    `change` = after - before, in [-1, 1]; `low` and `high` its 95 % interval for the `n`
    questions that were scored in both; None if there are none. `since` and `stage` name the
    two: "start", "sft" or "grpo".
    """

    split: str
    since: str
    stage: str
    n: int
    change: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class MeasureScore:
    """Which share of the parts of all answers was right, with its 95 % Wilson interval.

    `value`, `low` and `high` are in [0, 1]; `n` is the number of parts. Answers whose score
    `failed` are not counted; if all failed, there is no value.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    failed: int = 0


@dataclass(frozen=True)
class SuiteScore:
    """How a policy did on a suite, by key.

    `measures` is with each sample's own images, `blind` with those of another sample. A
    key is missing from `blind` if none of its samples has an image to swap.
    """

    measures: Mapping[str, MeasureScore]
    blind: Mapping[str, MeasureScore]
