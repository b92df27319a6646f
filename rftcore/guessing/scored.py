"""Which answers of each rule are right, by the task's parser and accuracy term."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rftcore.evaluation.scores import Share
from rftcore.evaluation.shares import share
from rftcore.guessing.asked import Asked, written
from rftcore.guessing.rules import Rule
from rftcore.progress import Bar
from rftcore.scoring import Scorer

BATCH = 256  # answers that are scored at once
LISTED, PLAIN = "with choices", "without choices"  # kinds of questions


@dataclass(frozen=True)
class Scored:
    """The kind of each question, and which of them each rule answers right.

    None: the accuracy term gave no value.
    """

    kinds: Sequence[str]
    right: Mapping[str, Sequence[bool | None]]

    @classmethod
    def of(
        cls,
        scorer: Scorer,
        rules: Sequence[Rule],
        asked: Sequence[Asked],
        label: str,
        progress: bool,
    ) -> Scored:
        """Answer the questions by each rule. An answer that several rules give is scored once."""
        questions = [each.question for each in asked]
        given = {rule.name: [*enumerate(map(rule.guess, questions))] for rule in rules}
        pairs = [*dict.fromkeys(pair for some in given.values() for pair in some)]
        correct: dict[tuple[int, str], bool | None] = {}
        with Bar(len(pairs), f"scoring guesses, {label}", "answer", show=progress) as bar:
            for start in range(0, len(pairs), BATCH):
                batch = pairs[start : start + BATCH]
                texts = [written(answer) for _, answer in batch]
                scores = scorer.score(texts, [asked[at].sample for at, _ in batch])
                correct.update(zip(batch, (score.correct for score in scores), strict=True))
                bar.update(len(batch))
        return cls(
            [LISTED if question.choices else PLAIN for question in questions],
            {name: [correct[pair] for pair in some] for name, some in given.items()},
        )

    def share(self, rule: str, kind: str | None = None) -> Share:
        """How often a rule is right, on all questions or those of one kind."""
        return self.of_kinds(dict.fromkeys(self.kinds, rule), kind)

    def best(self, kind: str | None) -> str:
        """The rule that is right most often; of equal ones the first, which is the simplest."""
        return max(self.right, key=lambda rule: self.share(rule, kind).accuracy or 0.0)

    def of_kinds(self, rules: Mapping[str, str], kind: str | None = None) -> Share:
        """How often the rule for each question's kind is right, on all or on those of one kind."""
        return share(
            self.right[rules[own]][at] for at, own in enumerate(self.kinds) if kind in (None, own)
        )
