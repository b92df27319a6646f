"""Scores as plain values, to be compared between calls and between processes."""

from rftcore.scoring import Score, Scorer
from rftcore.types import Task

Row = dict[str, tuple[str, float | None]]  # by reward: outcome and value
PATIENCE_S = 30.0  # for one call of a reward, which a busy machine may keep waiting
_NEVER_STOP = 10**9  # failures: the laws want to see all of them


def scorer_of(task: Task) -> Scorer:
    """A scorer that goes on however often a reward fails."""
    return Scorer(task, timeout_s=PATIENCE_S, error_budget=_NEVER_STOP)


def row_of(score: Score) -> Row:
    """One completion's outcomes by reward."""
    return {name: (part.kind, part.value) for name, part in score.parts.items()}
