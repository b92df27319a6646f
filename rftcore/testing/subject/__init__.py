"""The subject of the laws: a task with its samples, answers, completions and scores.

Wrong answers are the golds of other samples and variations of them. Everything is read once, on
first use, and selected by the seed, so that a broken law breaks again. Each module adds one part
to the one before: `samples`, `answers`, `completions`, `rewards`; here is what another process
makes of the same task.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import Any

from rftcore.testing.digests import digest, reading
from rftcore.testing.elsewhere import Elsewhere, run_elsewhere
from rftcore.testing.scores import row_of, scorer_of
from rftcore.testing.subject.rewards import TaskRewards
from rftcore.types import Sample

_ELSEWHERE = 6  # samples a split that another process makes as well


class Subject(TaskRewards):
    """A task, by its name and a recipe's settings, and what the laws need of it.

    Raises: RftError if there is no such task, or none can be made.
    """

    @cached_property
    def compared_samples(self) -> dict[str, dict[int, Sample]]:
        """The samples that the other process makes, too."""
        return {s: dict(list(some.items())[:_ELSEWHERE]) for s, some in self.samples.items()}

    @cached_property
    def digests(self) -> dict[str, list[str]]:
        """Digests of these samples, before any is scored."""
        return {
            split: [digest(one) for one in some.values()]
            for split, some in self.compared_samples.items()
        }

    @cached_property
    def answers(self) -> dict[str, list[str]]:
        """By gold: the value that the parser reads, and how it shows it."""
        found = {}
        for gold in self.golds:
            with suppress(Exception):  # the law of the round trip has that
                found[gold] = reading(self.parser, gold)
        return found

    @cached_property
    def scored(self) -> list[tuple[str, int, str]]:
        """Split, index and completion of what the other process scores, too."""
        rows = [
            (split, at, one)
            for split, some in self.compared_samples.items()
            for at, one in some.items()
            if not self._fault(one)
        ]
        texts = [(self.target(one), "", *self.wrong_targets(one, 2)) for _, _, one in rows]
        return [
            (split, at, text)
            for (split, at, _), some in zip(rows, texts, strict=True)
            for text in some
            if self.can_be_scored(text)
        ]

    @cached_property
    def scores(self) -> list[Any]:
        """Every reward's outcome for `scored`, in this process."""
        scorer = scorer_of(self.task)
        return [
            row_of(scorer, text, self.compared_samples[split][at])
            for split, at, text in self.scored
        ]

    @cached_property
    def elsewhere(self) -> Elsewhere:
        """The report of the other process, which runs once.

        What cannot be made in this process is not requested: other laws report that.
        """
        request: dict[str, Any] = {
            "task": self.name,
            "plugin": self.offer.plugin.distribution,
            "recipe": self.layer[1],
            "indices": {},
            "golds": [],
            "scored": [],
        }
        with suppress(Exception):
            request["indices"] = {
                split: list(some) for split, some in self.compared_samples.items()
            }
            request["golds"] = list(self.answers)
            request["scored"] = self.scored
        return run_elsewhere(request)
