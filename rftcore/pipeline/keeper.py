"""The answers of an evaluation in the run folder, while it makes them and when it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rftcore.completions import ScoredCompletion
from rftcore.evaluation.keeping import Answered, Keeper, Kind
from rftcore.runs import RunFolder
from rftcore.usage import Usage


class RunKeeper(Keeper):
    """Keeps the batches of one split of a stage in the run's folder.

    name: of the stage, as its files have it. noted: what the line of a failed reward call
    contains; this keeper adds which answers they are and the number of the batch, so that a
    resumed evaluation drops the failures of what it makes again. about: what these lines have.
    """

    def __init__(
        self,
        run: RunFolder,
        name: str,
        split: str,
        noted: dict[str, Any],
        about: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self._run, self._name, self._split = run, name, split
        self._noted, self._about = noted, about

    def read(self, kind: Kind) -> list[Answered]:
        """What an earlier session has kept."""
        return [
            Answered(ScoredCompletion.from_json(line), line["read"], line["seconds"])
            for line in self._run.partial(kind, self._name, self._split)
        ]

    def begin(self, kind: Kind, rows: int, batches: int) -> None:
        """Drop what was kept after the first rows, and the failures of later batches."""
        self._run.cut_partial(kind, self._name, self._split, rows)
        self._run.forget_failures({**self._about, "answers": kind}, from_batch=batches)

    def at(self, kind: Kind, batch: int) -> None:
        """Failures from now on are of this batch."""
        self._noted.update(answers=kind, batch=batch)

    def add(self, kind: Kind, answers: Sequence[Answered]) -> None:
        """Write the batch."""
        lines = [
            {**each.row.to_json(), "read": each.read, "seconds": each.seconds} for each in answers
        ]
        self._run.add_partial(kind, self._name, self._split, lines)

    def finish(self, kind: Kind, rows: list[ScoredCompletion], usage: Usage) -> None:
        """Write all rows; greedy ones are the stage's to write, with their score."""
        super().finish(kind, rows, usage)
        if kind != "greedy":
            self._run.write_answers(self._name, self._split, rows, kind)
