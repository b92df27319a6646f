"""What was measured on splits of a task: as a table, as notes and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rftcore.completions import ScoredCompletion
from rftcore.config import Recipe
from rftcore.evaluation.scores import SplitScore
from rftcore.usage import Usage

if TYPE_CHECKING:
    from rftcore.evaluation.notes import Measured


@dataclass(frozen=True)
class Found:
    """What was measured, and the reward calls that failed: their fields and the split."""

    splits: Sequence[tuple[SplitScore, Sequence[ScoredCompletion]]]
    failures: Sequence[Mapping[str, Any]] = ()
    data: Mapping[str, str] = field(default_factory=dict)  # a fingerprint per split
    changed: Sequence[str] = ()  # splits whose data is not what the run measured on
    missing: Sequence[str] = ()  # splits that were not measured, because of `error`
    error: BaseException | None = None  # what ended the evaluation early
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class SplitsEvaluation:
    """A policy on splits of a task. label: the model as the caller wrote it."""

    found: Found
    recipe: Recipe
    model: str
    label: str

    @cached_property
    def scores(self) -> list[dict[str, Any]]:
        """One mapping per split: the fields of `rftcore.evaluation.scores.SplitScore`."""
        return [asdict(score) for score, _ in self.found.splits]

    @cached_property
    def answers(self) -> list[ScoredCompletion]:
        """The completion for each sample, split by split."""
        return [each for _, answers in self.found.splits for each in answers]

    @property
    def failures(self) -> Sequence[Mapping[str, Any]]:
        """The reward calls that failed."""
        return self.found.failures

    @property
    def error(self) -> BaseException | None:
        """What ended the evaluation early, after at least one split."""
        return self.found.error

    def notes(self, report: str = "", answers: str = "") -> list[str]:
        """Notes on the scores. report: the file that has the failures."""
        return list(self._notes(report))

    def table(self) -> str:
        """The scores as text."""
        from rftcore.evaluation.details import detail_tables
        from rftcore.evaluation.tables import labeled, score_table

        scores = [score for score, _ in self.found.splits]
        rows = [(labeled(self.label, scores), scores)]
        return "\n\n".join([score_table(rows), *detail_tables(rows)])

    def report(self, *files: str) -> dict[str, Any]:
        """Every number, with the recipe, fingerprints of the data, failures and notes."""
        return {
            "model": self.model,
            "task": self.recipe.task,
            "recipe": self.recipe.model_dump(mode="json"),
            "scores": self.scores,
            "data": self.found.data,
            "failures": self.failures,
            "usage": self.found.usage.to_json(),
            "notes": self.notes(*files),
        }

    def _notes(self, report: str) -> Iterator[str]:
        from rftcore.evaluation.notes import failure_note, score_notes

        found, most_tokens = self.found, self.recipe.evaluation.max_new_tokens
        scores = [score for score, _ in found.splits]
        yield from score_notes({self.label: scores}, most_tokens, self._reason)
        if found.missing:
            yield f"not measured, because the evaluation stopped: {', '.join(found.missing)}"
        if found.changed:
            yield (
                f"the data of {', '.join(found.changed)} is not what the run began with: these "
                "accuracies cannot be compared with the run's own"
            )
        if found.failures:
            kept_in = report or "--json FILE keeps them with their tracebacks"
            yield failure_note(found.failures, kept_in, all_kept=True)

    def _reason(self, measured: Measured) -> str:
        """Why the first completion without an answer has none."""
        answers = next(found for score, found in self.found.splits if score is measured.score)
        return next((error for each in answers if (error := each.parse_error)), "none")
