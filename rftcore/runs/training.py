"""The lines that training writes into a run: per step, per rollout and per failed reward call."""

from pathlib import Path
from typing import Any

from rftcore.completions import ScoredCompletion
from rftcore.runs.names import FAILURES, METRICS, PROMPTS, ROLLOUTS
from rftcore.runs.watched import Line, Watched

FAILURES_KEPT = 10_000_000  # bytes


class TrainingLines(Watched):
    """The files of JSON lines, with a method to add to each and to read it."""

    def log(self, line: Line) -> None:
        """Add the numbers of a step: `phase`, `step`, and what was logged."""
        self.append_jsonl(METRICS, line)
        if self.watcher is not None:
            self.watcher.logged(line)

    def metrics(self, phase: str | None = None) -> list[dict[str, Any]]:
        """What was logged, of one phase or of all."""
        lines = self.read_jsonl(METRICS)
        return [line for line in lines if phase in (None, line["phase"])]

    def add_rollout(self, rollout: ScoredCompletion) -> None:
        """Add one rollout of GRPO."""
        self.append_jsonl(ROLLOUTS, rollout.to_json())

    def rollouts(self) -> list[ScoredCompletion]:
        """The rollouts of GRPO that were kept, in order. Raises: RunError for a faulty line."""
        return self.completions(ROLLOUTS)

    def prompts(self) -> list[dict[str, Any]]:
        """What the groups of each step's prompts earned, where `grpo.skip` depends on it."""
        return self.read_jsonl(PROMPTS)

    def add_prompts(self, line: Line) -> None:
        """Add what the groups of a step earned."""
        self.append_jsonl(PROMPTS, line)

    def forget_after(self, phase: str, step: int) -> None:
        """Drop the lines of a phase's steps after `step`: a resumed run takes them again."""

        def keep(line: Line) -> bool:
            return bool(line["phase"] != phase or line["step"] <= step)

        self.keep_jsonl(METRICS, keep)
        self.keep_jsonl(FAILURES, keep)
        if phase == "grpo":
            self.keep_jsonl(ROLLOUTS, lambda line: line["step"] <= step)
            self.keep_jsonl(PROMPTS, lambda line: line["step"] <= step)

    def lines_so_far(self) -> dict[str, list[Any]]:
        """Size and hash of the files to which training adds lines, for `changed`."""
        return self.hashes((METRICS, ROLLOUTS, PROMPTS))

    # --- failed reward calls ---

    @property
    def failures_file(self) -> Path:
        """Where failed reward calls are kept."""
        return self.path / FAILURES

    def add_failure(self, line: Line) -> None:
        """Add a failed reward call, unless the file is full."""
        self.append_jsonl(FAILURES, line, most_bytes=FAILURES_KEPT)

    def failures(self) -> list[dict[str, Any]]:
        """The failed reward calls that were kept."""
        return self.read_jsonl(FAILURES)

    def has_all_failures(self) -> bool:
        """Whether the file never was full."""
        return not self.failures_file.exists() or self.failures_file.stat().st_size <= FAILURES_KEPT

    def forget_failures(self, about: Line, *, from_batch: int = 0) -> None:
        """Drop the failures with these fields, of this batch or a later one: made again."""

        def keep(line: Line) -> bool:
            return not about.items() <= line.items() or line.get("batch", 0) < from_batch

        self.keep_jsonl(FAILURES, keep)
