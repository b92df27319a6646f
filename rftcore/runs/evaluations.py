"""The evaluations in a run: scores and answers by stage and split, and what they used."""

import shutil
from collections.abc import Iterable, Sequence
from typing import Any

from rftcore import jsontext
from rftcore.completions import ScoredCompletion
from rftcore.runs.names import EVALUATION, GREEDY, KINDS, PARTIAL, USAGE, answers_name, partial_name, scores_name
from rftcore.runs.watched import Line, Watched


class Evaluations(Watched):
    """The files of evaluations, ended or not, with a method to read and to write each."""

    def scores(self, stage: str) -> list[dict[str, Any]]:
        """The scores of a stage that have been written, one per split."""
        name = scores_name(stage)
        found: list[dict[str, Any]] = self.read_json(name) if (self.path / name).exists() else []
        return found

    def write_scores(self, stage: str, scores: Sequence[Line]) -> None:
        """Write the scores of a stage so far."""
        self.write_json(scores_name(stage), scores)
        if self.watcher is not None:
            self.watcher.scored(stage, scores)

    def answers(self, stage: str, split: str, kind: str = GREEDY) -> list[ScoredCompletion]:
        """The policy's answers to the questions of a split. Raises: RunError for a faulty line.

        kind: "greedy", "blind" or "sampled" (`rftcore.evaluation.keeping.Kind`).
        """
        return self.completions(answers_name(stage, split, kind))

    def write_answers(
        self, stage: str, split: str, answers: Iterable[ScoredCompletion], kind: str = GREEDY
    ) -> None:
        """Write the answers to the questions of a split."""
        rows = jsontext.lines(each.to_json() for each in answers)
        self.write_text(answers_name(stage, split, kind), rows)

    def copy_answers(self, stage: str, to: str, split: str) -> None:
        """Write the answers to a split under the name of another stage, too."""
        for kind in KINDS:
            name = answers_name(stage, split, kind)
            if (self.path / name).is_file():
                self.write_text(answers_name(to, split, kind), self.read_text(name))

    # --- of an evaluation that has not ended ---

    def partial(self, kind: str, stage: str, split: str) -> list[dict[str, Any]]:
        """The answers of an evaluation that has not ended, and what they cost."""
        return self.read_jsonl(partial_name(kind, stage, split))

    def cut_partial(self, kind: str, stage: str, split: str, rows: int) -> None:
        """Drop the answers after the first `rows`: they will be made again."""
        name = partial_name(kind, stage, split)
        lines = self.read_jsonl(name)
        if len(lines) > rows:
            self.write_text(name, "".join(map(jsontext.line, lines[:rows])))

    def add_partial(self, kind: str, stage: str, split: str, lines: Iterable[Line]) -> None:
        """Add answers of an evaluation that has not ended."""
        for line in lines:
            self.append_jsonl(partial_name(kind, stage, split), line)

    def drop_partial(self) -> None:
        """Remove the answers of evaluations that have ended meanwhile."""
        if self.writes:
            shutil.rmtree(self.path / EVALUATION / PARTIAL, ignore_errors=True)

    # --- what they used ---

    def usage(self) -> dict[str, dict[str, Any]]:
        """What evaluations used: by phase, then by stage and split."""
        found: dict[str, dict[str, Any]] = self.read_json(USAGE) if (self.path / USAGE).is_file() else {}
        return found

    def add_usage(self, phase: str, part: str, used: Line) -> None:
        """Write what a part of a phase used; if it is there, it is replaced."""
        known = self.usage()
        self.write_json(USAGE, {**known, phase: {**known.get(phase, {}), part: used}})
