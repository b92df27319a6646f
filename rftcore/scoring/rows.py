"""One completion on its way through the terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rftcore import rewards
from rftcore.scoring.outcomes import Called, Failure, Outcome
from rftcore.scoring.reading import Answer
from rftcore.types import Reward, RewardInput

COMPLETION_KEPT = 2000  # characters, in the record of a failure


@dataclass
class Row:
    """One answer and its outcomes so far; `inputs` holds what a reward may declare it uses.

    at: its place in the batch.
    """

    at: int
    answer: Answer
    inputs: dict[str, Any]
    parts: dict[str, Outcome] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Where the sample is, for a message."""
        return self.answer.sample.where

    def input(self, function: Reward) -> RewardInput:
        """The arguments that this reward declared."""
        wanted = {name: self.inputs[name] for name in rewards.uses(function)}
        parsed = self.answer.parsed
        value = parsed.value if parsed.ok else None
        return RewardInput(answer=value, gold=self.answer.gold, **wanted)

    def failure(self, name: str, called: Called) -> Failure:
        """The record of a reward that failed on this row."""
        return Failure(
            reward=name,
            kind=called.outcome.kind,
            note=called.outcome.note,
            traceback=called.traceback,
            sample=self.answer.sample.id,
            origin=self.answer.sample.origin,
            completion=self.answer.completion[:COMPLETION_KEPT],
            at=self.at,
            step=self.inputs["step"],
            cause=called.outcome.cause,
        )
