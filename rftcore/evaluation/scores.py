"""What an evaluation measures: scores of splits and suites, and gains between stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self


@dataclass(frozen=True)
class Share:
    """A share of `n` with its 95 % Wilson interval; all three are None if n is 0."""

    n: int
    accuracy: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Mean:
    """A mean of `n` values with its 95 % interval; None where there are too few values."""

    n: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Sampled:
    """How a policy does if it draws `k` completions per question.

    accuracy: of one completion, the mean over questions; its interval is that of as many
    independent questions, and so rather too wide. pass_at: by k as text, the share of
    questions of which at least one of k completions is right, estimated without bias. majority:
    whether the most frequent answer is right.
    """

    k: int
    accuracy: Share
    pass_at: Mapping[str, float]
    majority: Share

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """What `asdict` has made plain."""
        made = {"accuracy": Share(**value["accuracy"]), "majority": Share(**value["majority"])}
        return cls(**{**value, **made})


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
    `errors` counts requests to which an endpoint gave no answer; they are wrong answers.
    `groups` has the accuracy within each value of each key of `meta` that the task declares,
    `metrics` the mean of each term that it declares. `blind` is the accuracy on the same
    questions with the images of other samples, `sampled` that of several drawn completions;
    None if not measured.
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
    groups: Mapping[str, Mapping[str, Share]] = field(default_factory=dict)
    metrics: Mapping[str, Mean] = field(default_factory=dict)
    errors: int = 0
    blind: Share | None = None
    sampled: Sampled | None = None

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """What `asdict` has made plain. Raises: TypeError for a row that is not a score."""
        made: dict[str, Any] = dict(row)
        if {*made} - {each.name for each in fields(cls)} or not isinstance(row, Mapping):
            raise TypeError(f"{', '.join(made)} are not the fields of a score")
        made["groups"] = {
            key: {name: Share(**one) for name, one in of_key.items()}
            for key, of_key in made.get("groups", {}).items()
        }
        made["metrics"] = {name: Mean(**one) for name, one in made.get("metrics", {}).items()}
        if made.get("blind") is not None:
            made["blind"] = Share(**made["blind"])
        if made.get("sampled") is not None:
            made["sampled"] = Sampled.from_json(made["sampled"])
        return cls(**made)

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
