"""Read a run: scores, answers, rollouts and metrics as plain data."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from rftcore.arguments import checked
from rftcore.completions import ScoredCompletion
from rftcore.config import Recipe, load_recipe, read_recipe_file
from rftcore.errors import RunError
from rftcore.plugins import Catalogue
from rftcore.reports import MAX_MB, write_report
from rftcore.runs import RunFolder, answers_name
from rftcore.splits import PHASE_SPLITS

STAGES = ("start", *PHASE_SPLITS)  # that are evaluated, in order


class Run:
    """A run's results, read from its folder. A run that has not ended has those until then.

    run = rft.load_run("runs/counting-nano-s0-20260131-235959")
    wrong = [row for row in run.answers("grpo", "val") if row.correct is False]
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<Run {self.path}: {', '.join(self.done) or 'nothing'} done>"

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self._folder.path

    @property
    def done(self) -> list[str]:
        """What has ended, in order: "data", "vision_check", "sft", "evaluate:sft", ..."""
        return self._folder.phases_done()

    @property
    def ended(self) -> bool:
        """Whether the run has ended, with its table."""
        return self._folder.ended()

    @cached_property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        file = self._folder.recipe_file
        return load_recipe((str(file), read_recipe_file(file)))

    @property
    def manifest(self) -> dict[str, Any]:
        """Where the numbers come from: versions, seed, fingerprints of data and prompts."""
        return self._folder.manifest()

    @property
    def policy(self) -> Path | None:
        """The folder of the newest policy; None if no phase has ended.

        Raises: RunError if it is missing.
        """
        return self._folder.newest_policy()

    @property
    def scores(self) -> list[dict[str, Any]]:
        """One mapping per stage and split: `stage`, `split`, `n`, `accuracy`, `low`, `high`, ..."""
        return [
            {"stage": stage, **score} for stage in STAGES for score in self._folder.scores(stage)
        ]

    @property
    def training(self) -> dict[str, dict[str, Any]]:
        """How each phase that has ended did: `seconds`, its last `metrics`, its `usage`, ..."""
        return {phase: self._folder.phase(phase) for phase in PHASE_SPLITS if phase in self.done}

    def table(self) -> str:
        """The table that the run ended with. Raises: RunError if it has not ended."""
        return self._folder.table()

    def answers(self, stage: str, split: str, kind: str = "greedy") -> list[ScoredCompletion]:
        """The completion for each sample of a split, with its answer and score.

        stage: "start", "sft" or "grpo". kind: "greedy"; "blind", with the images of other samples;
        or "sampled", several per question.
        Raises: RunError if that was not evaluated.
        """
        if not (self.path / answers_name(stage, split, kind)).is_file():
            found = [f"{score['stage']} on {score['split']}" for score in self.scores]
            raise RunError(
                f"run {self.path} has no {kind} answers of stage {stage!r} on split {split!r}. "
                f"It has: {', '.join(found) or 'none yet'}"
            )
        return self._folder.answers(stage, split, kind)

    def rollouts(self) -> list[ScoredCompletion]:
        """The completions of GRPO that were kept, with their rewards, in order of steps."""
        return self._folder.rollouts()

    def metrics(self, phase: str | None = None) -> list[dict[str, Any]]:
        """The numbers that were logged, one mapping per step; of "sft", "grpo" or both."""
        if phase not in (None, *PHASE_SPLITS):
            phases = " or ".join(map(repr, PHASE_SPLITS))
            raise RunError(f"run {self.path} has no metrics of phase {phase!r}: use {phases}")
        return self._folder.metrics(phase)

    def report(self, out: str | Path | None = None, *, max_mb: float = MAX_MB) -> Path:
        """Write the run as an HTML page, as `rft report` does; the path of the page.

        out: default `report.html` in the run's folder. max_mb: most megabytes of answers and
        images. Raises: RunError if it cannot be written.
        """
        return write_report([self._folder], Catalogue.load(), out=out, max_mb=max_mb).path

    def failures(self) -> list[dict[str, Any]]:
        """The reward calls that failed, with their tracebacks."""
        return self._folder.failures()


@checked
def load_run(path: str | Path) -> Run:
    """The run in a folder. Raises: RunError if there is none."""
    return Run(RunFolder.open(path))
