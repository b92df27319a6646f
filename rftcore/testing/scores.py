"""Scores as plain values, to be compared between calls and between processes."""

from rftcore.errors import SampleError
from rftcore.scoring import Scorer
from rftcore.types import Sample, Task

Row = dict[str, tuple[str, float | None]]  # by reward: outcome and value
PATIENCE_S = 30.0  # for one call of a reward, which a busy machine may keep waiting
_NEVER_STOP = 10**9  # failures: the laws want to see all of them


def scorer_of(task: Task) -> Scorer:
    """A scorer that goes on however often a reward fails."""
    return Scorer(task, timeout_s=PATIENCE_S, error_budget=_NEVER_STOP)


def row_of(scorer: Scorer, completion: str, sample: Sample) -> Row:
    """One completion's outcomes by reward; none if a reward cannot read the sample."""
    try:
        score = scorer.score([completion], [sample])[0]
    except SampleError:  # for another law: see `rewards-read-golds`
        return {}
    return {name: (part.kind, part.value) for name, part in score.parts.items()}
