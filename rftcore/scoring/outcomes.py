"""What a reward call, and the scoring of a completion, can come to."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rftcore.types import Parsed, RewardResult


@dataclass(frozen=True)
class Outcome:
    """What one reward said about one completion; `value` only if `kind` is "ok".

    `seconds` is how long the call took.
    """

    kind: Literal["ok", "n/a", "error", "timeout"]
    value: float | None = None
    note: str = ""
    seconds: float = field(default=0.0, compare=False)

    @property
    def failed(self) -> bool:
        """Whether the reward could not be computed."""
        return self.kind in ("error", "timeout")


@dataclass(frozen=True)
class Score:
    """One completion's result.

    `total` is the weighted sum of the parts that apply; None if a required
    part failed or none applies: such a row must not move the policy.
    `correct` is whether the task's accuracy part is exactly 1; None if that part has no
    value, because it failed or does not apply: not known is not wrong. `answer` is the
    parsed value as the parser's `show` writes it, None if there is none.
    """

    total: float | None
    parts: Mapping[str, Outcome]
    parsed: Parsed
    correct: bool | None
    answer: str | None = None

    @property
    def failures(self) -> dict[str, str]:
        """For each part that failed, how and why."""
        return {n: f"{part.kind}: {part.note}" for n, part in self.parts.items() if part.failed}


@dataclass(frozen=True)
class Failure:
    """A call that failed, as the run folder keeps it: which reward, on what, and why.

    `at` is the completion's place in its batch, `step` the optimiser step. Completion
    and traceback are cut to what a person reads. `more` failures followed in the batch and
    are not kept.
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
    more: int = 0


@dataclass(frozen=True)
class Called:
    """One call: its outcome, and for a failure what a person needs to fix it.

    `bad_data` is the message of a `SampleError`: the sample is at fault, not the reward.
    `cause` stays in the process of the call.
    """

    outcome: Outcome
    traceback: str = ""
    bad_data: str = ""
    cause: BaseException | None = None


def outcome_of(output: object) -> Outcome:
    """Check what a reward returned. Raises TypeError or ValueError if it is no number."""
    if output is None:
        return Outcome("n/a")
    value, note = (output.value, output.note) if isinstance(output, RewardResult) else (output, "")
    if not isinstance(value, numbers.Real):
        raise TypeError(f"it returned {value!r} ({type(value).__name__}), not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"it returned {number}, which is not finite")
    return Outcome("ok", number, str(note))
