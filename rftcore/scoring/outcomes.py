"""The results of a reward call and of scoring a completion."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rftcore import meta
from rftcore.completions import ScoredCompletion
from rftcore.images import Image
from rftcore.images.shown import Seen, shown
from rftcore.types import Parsed, RewardResult, Sample


@dataclass(frozen=True)
class Outcome:
    """The result of one reward call; `value` is a number only if `kind` is "ok".

    `seconds` is the duration of the call. `cause` is the type of an exception and where it was
    raised, so failures of one cause are equal in it, whatever their messages have.
    """

    kind: Literal["ok", "n/a", "error", "timeout"]
    value: float | None = None
    note: str = ""
    seconds: float = field(default=0.0, compare=False)
    cause: str = field(default="", compare=False)

    @property
    def failed(self) -> bool:
        """Whether the reward could not be computed."""
        return self.kind in ("error", "timeout")


@dataclass(frozen=True)
class Score:
    """One completion's result.

    `total` is the weighted sum of the terms that apply; None if a required term failed or
    none applies, and then the completion gets no advantage. `correct` is whether the task's
    accuracy term is exactly 1; None if that term failed or does not apply. `answer` is the
    parsed value as the parser's `show` writes it, None if there is none.
    """

    total: float | None
    parts: Mapping[str, Outcome]
    parsed: Parsed
    correct: bool | None
    answer: str | None = None

    def record(
        self,
        sample: Sample,
        completion: str,
        *,
        split: str | None = None,
        index: int | None = None,
        step: int | None = None,
        tokens: int | None = None,
        clipped: bool | None = None,
        images: Sequence[Image] | None = None,
        seen: Seen | None = None,
    ) -> ScoredCompletion:
        """The score with the sample and the completion that it is of, to be stored.

        images: what the prompt showed; by default the sample's. seen: what the policy's image
        processor makes of a size; without it no image is read.
        """
        kept, omitted = meta.stored(sample.meta)
        return ScoredCompletion(
            id=str(sample.id),
            split=split,
            index=index,
            step=step,
            question=sample.question,
            gold=sample.gold,
            meta=kept,
            meta_omitted=omitted,
            images=shown(sample.images if images is None else images, seen),
            completion=completion,
            tokens=tokens,
            clipped=clipped,
            answer=self.answer,
            parse_error=self.parsed.error,
            correct=self.correct,
            total=self.total,
            rewards={name: part.value for name, part in self.parts.items()},
            failures={name: part.kind for name, part in self.parts.items() if part.failed},
            notes={name: part.note for name, part in self.parts.items() if part.note},
        )


@dataclass(frozen=True)
class Failure:
    """A failed reward call as the run folder keeps it.

    `at` is the index of the completion in its batch, `step` the optimizer step, `cause` as in
    `Outcome`. Completion and traceback are truncated. `more` counts the failures after this one
    in the batch that are not kept.
    """

    reward: str
    kind: str
    note: str
    traceback: str
    sample: str
    origin: str
    completion: str
    at: int
    step: int | None = None
    cause: str = ""
    more: int = 0

    @property
    def where(self) -> str:
        """The sample, for messages."""
        return self.origin or f"sample {self.sample}"


@dataclass(frozen=True)
class Called:
    """The outcome of one call, with what is needed to fix a failure.

    `bad_data` is the message of a `SampleError`: the sample is wrong, not the reward.
    `cause` is not sent between processes.
    """

    outcome: Outcome
    traceback: str = ""
    bad_data: str = ""
    cause: BaseException | None = None


def outcome_of(output: object) -> Outcome:
    """Check what a reward returned. Raises TypeError or ValueError if it is not a finite number."""
    if output is None:
        return Outcome("n/a")
    value, note = (output.value, output.note) if isinstance(output, RewardResult) else (output, "")
    number = number_of(value)
    if number is None:
        kind = type(value).__name__
        raise TypeError(f"it returned {value!r} ({kind}), not a number: use float()")
    if not math.isfinite(number):
        raise ValueError(f"it returned {number}, which is not finite")
    return Outcome("ok", number, str(note))


def number_of(value: Any) -> float | None:
    """A value of a reward as a number; None for what is none, such as text or an array.

    True and False of NumPy and of torch count as those of Python do, which they are not.
    """
    kind, shape = str(getattr(value, "dtype", "")), getattr(value, "shape", None)
    truth = kind.endswith("bool") and shape == ()  # numpy's "bool", torch's "torch.bool"
    return float(value) if truth or isinstance(value, numbers.Real) else None
