"""The rewards of a task, called on completions by the scorer or one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from rftcore import rewards
from rftcore.errors import PluginError, SampleError
from rftcore.scoring import Score
from rftcore.testing.errors import NotCheckedError
from rftcore.testing.scores import scorer_of
from rftcore.testing.subject.completions import TaskCompletions
from rftcore.types import Parsed, Reward, RewardInput, Sample, Term

_STATED = ("siblings", "tokens", "sibling_tokens", "step", "correct")


class TaskRewards(TaskCompletions):
    """Scores of completions, and the inputs of single rewards."""

    _last: tuple[str, Parsed | None] | None = None

    @property
    def terms(self) -> Mapping[str, Term]:
        """The task's rewards."""
        return self.task.rewards

    @property
    def weighted_terms(self) -> dict[str, Term]:
        """The rewards with a weight; the others are only measured."""
        return {name: term for name, term in self.terms.items() if term.weight}

    def score(self, completions: Sequence[str], sample: Sample) -> list[Score]:
        """Score completions as answers to one sample.

        Raises: NotCheckedError if a sample cannot be sent to the process that scores it.
        """
        _ = self.originals
        try:
            return scorer_of(self.task).score(completions, [sample] * len(completions))
        except PluginError as error:
            raise NotCheckedError(str(error), "samples-picklable") from error

    def scored_of(self, completions: Sequence[str], sample: Sample) -> list[tuple[str, Score]]:
        """Completions with their scores, without those that cannot be scored.

        Those on which the parser or a reward raises are for the laws on totality.
        """
        texts = [text for text in completions if self.read(text) is not None]
        rows: list[tuple[str, Score]] = []
        for text in texts:  # one at a time: bad data ends a batch
            with suppress(SampleError):
                rows.append((text, self.score([text], sample)[0]))
        return [
            (text, score)
            for text, score in rows
            if not any(part.failed for part in score.parts.values())
        ]

    def total(self, completion: str, sample: Sample) -> float | None:
        """The total of one completion, 0 if no reward applies, None if it cannot be scored."""
        rows = self.scored_of([completion], sample)
        return (rows[0][1].total or 0.0) if rows else None

    def can_be_scored(self, completion: str) -> bool:
        """Whether rewards can be called on a completion: the parser returns something."""
        return self._parse(completion) is not None

    def reward_call(
        self, name: str, completion: str, sample: Sample, **more: Any
    ) -> tuple[Reward, RewardInput]:
        """A reward and its input, to call it without the scorer's protection.

        more: values that only training has, such as the step. `can_be_scored` must hold.
        """
        _ = self.originals
        function: Any = self.terms[name].reward
        parsed = self._parse(completion)
        assert parsed is not None, "not a completion that reads"
        known: dict[str, Any] = {
            "completion": completion,
            "sample": sample,
            **dict.fromkeys(_STATED),
            **more,
        }
        used = {field: known[field] for field in rewards.uses(function)}
        answer = parsed.value if parsed.ok else None
        return function, RewardInput(answer=answer, gold=self.value(sample), **used)

    def _parse(self, completion: str) -> Parsed | None:
        """Parse a completion once, though several rewards are called on it."""
        if self._last is None or self._last[0] is not completion:
            self._last = completion, self.read(completion)
        return self._last[1]
