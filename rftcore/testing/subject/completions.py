"""Completions for the samples of a task: right, wrong and hostile ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from rftcore import prompts, tags
from rftcore.errors import SampleError
from rftcore.rewards import attacks
from rftcore.testing.subject.answers import TaskAnswers
from rftcore.types import Sample

PLAIN = "I look at the image."  # reasoning for a sample that has none


class TaskCompletions(TaskAnswers):
    """The SFT targets of samples and of others with another gold, and attacks."""

    def target(self, sample: Sample) -> str:
        """The SFT target of a sample, with placeholder reasoning if it has none."""
        try:
            return prompts.sft_target(sample)
        except SampleError:
            return tags.write(PLAIN, sample.gold)

    @cached_property
    def targets(self) -> list[str]:
        """The SFT targets of `scorable`."""
        return [self.target(sample) for sample in self.scorable]

    def wrong_targets(self, sample: Sample, most: int = 6) -> list[str]:
        """SFT targets of other samples with another gold: well formed, and wrong."""
        wrong = set(self.other_golds(sample))
        return [self.target(other) for other in self.scorable if other.gold in wrong][:most]

    def attacks(
        self, sample: Sample, kinds: Sequence[str] = attacks.KINDS
    ) -> list[tuple[str, str]]:
        """Named completions of `kinds` that attack the rewards of this sample."""
        try:
            text = self.task.prompt(sample).text
        except Exception:  # for the law on prompts
            text = sample.question
        made = attacks.library(text, sample.gold, self.other_golds(sample))
        return [(name, one) for name, one in made if name.partition("/")[0] in kinds]
