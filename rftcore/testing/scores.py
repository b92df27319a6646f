"""Scores as plain values, to be compared between calls and between processes."""

from collections.abc import Sequence
from typing import Any

from rftcore.scoring import Score, Scorer
from rftcore.types import Sample, Task

Table = list[dict[str, tuple[str, float | None]]]  # by completion and reward: outcome and value
PATIENCE_S = 20.0  # for one call of a reward, which a busy machine may keep waiting
_NEVER_STOP = 10**9  # failures: the laws want to see all of them


def scorer_of(task: Task) -> Scorer:
    """A scorer that goes on however often a reward fails."""
    return Scorer(task, timeout_s=PATIENCE_S, error_budget=_NEVER_STOP)


def table_of(task: Task, completions: Sequence[str], samples: Sequence[Sample]) -> Table:
    """Every reward's outcome for completions[i] as an answer to samples[i]."""
    return list(map(row_of, scorer_of(task).score(completions, samples)))


def row_of(score: Score) -> Any:
    """One completion's outcomes by reward."""
    return {name: (part.kind, part.value) for name, part in score.parts.items()}
